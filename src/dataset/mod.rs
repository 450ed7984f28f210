//! Data: samples to learn from ([`Samples`], from CSV, LIBSVM, IDX and npy files or embedded; feature `dataset`), tables from
//! text files ([`Table`], [`Records`], feature `dataset`), the reference regressions of NIST ([`nist`]) and bundle adjustment
//! problems ([`bal`]).
//!
//! Everything that is read is judged: an error names the file, the line and the column or the byte, what was expected and what was found.

#[cfg(feature = "dataset")]
mod array;
pub mod bal;
mod bytes;
#[cfg(feature = "dataset")]
pub mod idx;
pub mod nist;
#[cfg(feature = "dataset")]
pub mod npy;
#[cfg(feature = "dataset")]
mod samples;
#[cfg(feature = "dataset")]
mod table;
mod text;

#[cfg(feature = "dataset")]
pub use array::Array;
#[cfg(feature = "dataset")]
pub use samples::{EMBEDDED, Features, Libsvm, Parts, Samples, Scaling, Source, Split, Target, TargetKind};
#[cfg(feature = "dataset")]
pub use table::{Records, Table};

/// One to three random edits of some bytes, for tests: replaced, removed, repeated, inserted or cut off.
#[cfg(all(test, feature = "dataset"))]
fn mutate(bytes: &[u8], random: &mut rand_chacha::ChaCha8Rng) -> Vec<u8> {
    use rand::Rng;
    const TYPICAL: &[u8] = b"0123456789.,:;-+eE#\"'\n\r\t (){}[]?x\x00\x7f\x80\xff";
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..bytes.len().max(1));
        let end = (at + random.random_range(0..6)).min(bytes.len());
        let byte = if random.random_range(0..4) == 0 { random.random() } else { TYPICAL[random.random_range(0..TYPICAL.len())] };
        match random.random_range(0..8) {
            _ if bytes.is_empty() => bytes.push(byte),
            0..3 => bytes[at] = byte,
            3 | 4 => bytes.insert(at, byte),
            5 => drop(bytes.drain(at..end)),
            6 => bytes.extend_from_within(at..end),
            _ if random.random_range(0..8) == 0 => bytes.truncate(at),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
    bytes
}
