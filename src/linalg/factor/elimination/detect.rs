//! Which variables to eliminate: small classes of variables that no block of the Jacobian couples with each other.

use super::MAX_BLOCK;
use crate::linalg::operator::JacobianPattern;

/// A reduced system larger than this is not formed densely unless asked for.
const MAX_REDUCED: usize = 2000;
/// A reduced system with fewer couplings than this part of all is left to a sparse factorization.
const MIN_DENSITY: f64 = 0.2;

/// No label.
pub(super) const NONE: u32 = u32::MAX;

/// The tuples of all blocks with their group and number.
pub(super) fn tuples(pattern: &JacobianPattern) -> impl Iterator<Item = ((u32, u32), &[u32])> {
    let groups = pattern.groups().iter().enumerate();
    groups.flat_map(|(g, group)| (0..group.len()).map(move |k| ((g as u32, k as u32), group.variables(k))))
}

/// For each variable its class: variables of one class occur in exactly the same blocks. Also the number of classes.
pub(super) fn classes(pattern: &JacobianPattern) -> (Vec<u32>, usize) {
    // Each tuple splits the classes that it meets into those inside and those outside.
    let mut class = vec![0u32; pattern.n()];
    let mut size = vec![pattern.n()];
    for (_, tuple) in tuples(pattern) {
        let before = size.len();
        let mut last = NONE;
        for &i in tuple {
            let old = class[i as usize];
            if std::mem::replace(&mut last, old) == old || old as usize >= before {
                continue;
            }
            let inside = tuple.iter().filter(|&&j| class[j as usize] == old).count();
            if inside < size[old as usize] {
                let new = size.len() as u32;
                size[old as usize] -= inside;
                size.push(inside);
                tuple.iter().for_each(|&j| {
                    let label = &mut class[j as usize];
                    *label = if *label == old { new } else { *label };
                });
                last = new;
            }
        }
    }
    (class, size.len())
}

/// For each label the blocks with a variable of that label, in order: where its list begins, and the lists.
pub(super) fn blocks_of(pattern: &JacobianPattern, label: &[u32], n_labels: usize) -> (Vec<usize>, Vec<(u32, u32)>) {
    let distinct = |tuple: &[u32], visit: &mut dyn FnMut(usize)| {
        for (p, &i) in tuple.iter().enumerate() {
            let own = label[i as usize];
            let repeated = p > 0 && label[tuple[p - 1] as usize] == own;
            if own != NONE && !repeated && tuple[..p].iter().all(|&j| label[j as usize] != own) {
                visit(own as usize);
            }
        }
    };
    let mut starts = vec![0; n_labels + 2];
    tuples(pattern).for_each(|(_, tuple)| distinct(tuple, &mut |own| starts[own + 2] += 1));
    (2..starts.len()).for_each(|l| starts[l] += starts[l - 1]);
    let mut blocks = vec![(0, 0); starts[n_labels + 1]];
    for (block, tuple) in tuples(pattern) {
        distinct(tuple, &mut |own| {
            blocks[starts[own + 1]] = block;
            starts[own + 1] += 1;
        });
    }
    starts.truncate(n_labels + 1);
    (starts, blocks)
}

/// The variables whose elimination leaves a small and well filled system, if there are such: an independent set of classes,
/// those in the fewest blocks first.
pub(super) fn independent(pattern: &JacobianPattern, (class, n_classes): (&[u32], usize)) -> Option<Vec<bool>> {
    let (starts, blocks) = blocks_of(pattern, class, n_classes);
    let mut size = vec![0usize; n_classes];
    class.iter().for_each(|&c| size[c as usize] += 1);
    let mut order: Vec<usize> = (0..n_classes).filter(|&c| size[c] <= MAX_BLOCK).collect();
    order.sort_by_key(|&c| (starts[c + 1] - starts[c], c));
    let (mut chosen, mut blocked) = (vec![false; n_classes], vec![false; n_classes]);
    for c in order {
        if !blocked[c] {
            chosen[c] = true;
            for &(g, k) in &blocks[starts[c]..starts[c + 1]] {
                let tuple = pattern.groups()[g as usize].variables(k as usize);
                tuple.iter().for_each(|&i| blocked[class[i as usize] as usize] = true);
            }
        }
    }
    let eliminated: usize = (0..n_classes).filter(|&c| chosen[c]).map(|c| size[c]).sum();
    let reduced = pattern.n() - eliminated;
    if 2 * eliminated < pattern.n() || reduced > MAX_REDUCED {
        return None;
    }
    let filled = density(pattern, class, &chosen, (&starts, &blocks), &size) >= MIN_DENSITY;
    filled.then(|| class.iter().map(|&c| chosen[c as usize]).collect())
}

/// The part of the reduced matrix that is not zero.
fn density(
    pattern: &JacobianPattern,
    class: &[u32],
    chosen: &[bool],
    (starts, blocks): (&[usize], &[(u32, u32)]),
    size: &[usize],
) -> f64 {
    let mut number = vec![NONE; chosen.len()];
    let kept: Vec<usize> = (0..chosen.len()).filter(|&c| !chosen[c] && size[c] > 0).collect();
    kept.iter().enumerate().for_each(|(number_of, &c)| number[c] = number_of as u32);
    let n = kept.len();
    let mut coupled = vec![false; n * n];
    let mut couple = |met: &mut Vec<usize>| {
        met.sort_unstable();
        met.dedup();
        met.iter().for_each(|a| met.iter().for_each(|b| coupled[a * n + b] = true));
        met.clear();
    };
    let gather = |tuple: &[u32], met: &mut Vec<usize>| {
        met.extend(tuple.iter().map(|&i| number[class[i as usize] as usize]).filter(|&c| c != NONE).map(|c| c as usize));
    };
    let mut met = Vec::new();
    for c in (0..chosen.len()).filter(|&c| chosen[c]) {
        for &(g, k) in &blocks[starts[c]..starts[c + 1]] {
            gather(pattern.groups()[g as usize].variables(k as usize), &mut met);
        }
        couple(&mut met);
    }
    for (_, tuple) in tuples(pattern) {
        gather(tuple, &mut met);
        couple(&mut met);
    }
    let entries = |a: usize| (0..n).filter(|b| coupled[a * n + b]).map(|b| size[kept[b]]).sum::<usize>() * size[kept[a]];
    let (stored, all): (usize, usize) = ((0..n).map(entries).sum(), kept.iter().map(|&c| size[c]).sum());
    if all == 0 { 1.0 } else { stored as f64 / (all * all) as f64 }
}
