//! Patches: which entries of a sample each position of a layer sees.
//!
//! Convolutions, padding, strides and the reordering before a dense layer are one table of indices, so a layer's product
//! stays one matrix product over all positions of all samples (expanded patches; Chellapilla, Puri & Simard 2006).

use crate::error::{Error, Result};

/// Marks an entry of the table that reads zero.
const PADDING: u32 = u32::MAX;

/// Geometry of a two-dimensional convolution; one-dimensional ones have height 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Convolution {
    /// Output channels.
    pub channels: usize,
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Steps between positions, vertically and horizontally.
    pub stride: (usize, usize),
    /// Zeros added at each side, vertically and horizontally.
    pub padding: (usize, usize),
}

impl Convolution {
    /// Along a line: a kernel of `width`, stride 1, no padding.
    pub fn line(channels: usize, width: usize) -> Self {
        Self::square(channels, 1, width)
    }

    /// Over an image: a kernel of `height × width`, stride 1, no padding.
    pub fn square(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, kernel: (height, width), stride: (1, 1), padding: (0, 0) }
    }
}

/// The shape of a sample between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A vector.
    Flat(usize),
    /// Channels × height × width; stored position after position if a layer wrote it, channel after channel if it is the input.
    Image { channels: usize, height: usize, width: usize, by_position: bool },
}

impl Shape {
    pub fn len(self) -> usize {
        match self {
            Self::Flat(n) => n,
            Self::Image { channels, height, width, .. } => channels * height * width,
        }
    }
}

/// A table of `inputs × positions` indices into a sample of `source` values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gather {
    pub inputs: usize,
    pub positions: usize,
    source: usize,
    table: Vec<u32>,
}

impl Gather {
    /// The patches of a convolution, and the shape of its result. A patch is ordered by channel, then row, then column.
    pub fn convolution(shape: Shape, c: &Convolution) -> Result<(Self, Shape)> {
        let Shape::Image { channels, height, width, by_position } = shape else {
            return Err(Error::Unsupported { what: "a convolution", requirement: "an image or a line of channels as input" });
        };
        Error::check_option(c.channels > 0, "channels", "positive", c.channels)?;
        let (down, across) = (extent("height", height, c, |p| p.0)?, extent("width", width, c, |p| p.1)?);
        let (kh, kw) = c.kernel;
        let mut table = Vec::with_capacity(channels * kh * kw * down * across);
        for (i, j) in (0..down).flat_map(|i| (0..across).map(move |j| (i, j))) {
            for ch in 0..channels {
                for (di, dj) in (0..kh).flat_map(|di| (0..kw).map(move |dj| (di, dj))) {
                    let row = (i * c.stride.0 + di).checked_sub(c.padding.0).filter(|r| *r < height);
                    let column = (j * c.stride.1 + dj).checked_sub(c.padding.1).filter(|c| *c < width);
                    table.push(match (row, column) {
                        (Some(r), Some(col)) if by_position => ((r * width + col) * channels + ch) as u32,
                        (Some(r), Some(col)) => ((ch * height + r) * width + col) as u32,
                        _ => PADDING,
                    });
                }
            }
        }
        let gather = Self { inputs: channels * kh * kw, positions: down * across, source: shape.len(), table };
        Ok((gather, Shape::Image { channels: c.channels, height: down, width: across, by_position: true }))
    }

    /// An image as a vector, channel after channel; `None` if it is one already.
    pub fn flatten(shape: Shape) -> Option<Self> {
        let Shape::Image { channels, height, width, by_position: true } = shape else { return None };
        let area = height * width;
        let table = (0..channels).flat_map(|ch| (0..area).map(move |s| (s * channels + ch) as u32)).collect();
        Some(Self { inputs: shape.len(), positions: 1, source: shape.len(), table })
    }

    /// The patches of all samples, `inputs × (positions · n)`.
    pub fn gather(&self, samples: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(samples.len() / self.source * self.table.len());
        for sample in samples.chunks_exact(self.source) {
            out.extend(self.table.iter().map(|&k| if k == PADDING { 0.0 } else { sample[k as usize] }));
        }
        out
    }

    /// The adjoint: adds every patch entry to the place it came from.
    pub fn scatter(&self, patches: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; patches.len() / self.table.len() * self.source];
        for (sample, patch) in out.chunks_exact_mut(self.source).zip(patches.chunks_exact(self.table.len())) {
            for (&k, v) in self.table.iter().zip(patch).filter(|(k, _)| **k != PADDING) {
                sample[k as usize] += v;
            }
        }
        out
    }
}

/// Number of positions along one side.
fn extent(side: &'static str, length: usize, c: &Convolution, of: impl Fn((usize, usize)) -> usize) -> Result<usize> {
    let (kernel, stride, padding) = (of(c.kernel), of(c.stride), of(c.padding));
    Error::check_option(stride > 0, "stride", "positive", stride)?;
    Error::check_option(kernel > 0, "kernel", "positive", kernel)?;
    let requirement = if side == "height" { "at most the padded height" } else { "at most the padded width" };
    Error::check_option(kernel <= length + 2 * padding, "kernel", requirement, kernel)?;
    Ok((length + 2 * padding - kernel) / stride + 1)
}
