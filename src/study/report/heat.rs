//! Heat maps of matrices as SVG: the darker, the larger the modulus, on a logarithmic scale of four decades.

use super::html::escape;
use std::fmt::Write;

/// Decades from white to the darkest colour.
const DECADES: f64 = 4.0;
/// Most cells in a row: larger matrices are shown by the largest modulus in each cell.
const CELLS: usize = 120;
/// Side of a map in pixels.
const SIDE: f64 = 340.0;
/// Shades between white and the darkest colour.
const SHADES: usize = 24;

/// One square map.
pub(super) struct HeatMap<'a> {
    /// What it shows.
    pub title: String,
    /// Dimension.
    pub n: usize,
    /// Entries, column-major.
    pub entries: &'a [f64],
    /// The modulus that is darkest; zero for the map's own largest.
    pub largest: f64,
    /// Where lines are drawn between parts.
    pub cuts: Vec<usize>,
}

/// Maps side by side in one SVG element.
pub(super) fn row(maps: &[HeatMap<'_>]) -> String {
    let (width, height) = ((SIDE + 20.0) * maps.len() as f64, SIDE + 34.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (k, map) in maps.iter().enumerate() {
        let _ = writeln!(out, "<g transform=\"translate({},26)\">", 4.0 + (SIDE + 20.0) * k as f64);
        map.draw(&mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>");
    out
}

impl HeatMap<'_> {
    /// Largest modulus in each cell, row by row.
    fn cells(&self) -> (usize, Vec<f64>) {
        let m = self.n.clamp(1, CELLS);
        let mut cells = vec![0.0f64; m * m];
        for (k, entry) in self.entries.iter().enumerate() {
            let (i, j) = (k % self.n * m / self.n, k / self.n * m / self.n);
            cells[i * m + j] = cells[i * m + j].max(entry.abs());
        }
        (m, cells)
    }

    fn draw(&self, out: &mut String) {
        let (m, cells) = self.cells();
        let largest = if self.largest > 0.0 { self.largest } else { cells.iter().copied().fold(0.0, f64::max) };
        let side = SIDE / m as f64;
        let shade = |v: f64| {
            let place = if v > 0.0 && largest > 0.0 { 1.0 + (v / largest).log10() / DECADES } else { 0.0 };
            (place.clamp(0.0, 1.0) * SHADES as f64).round() as usize
        };
        let _ = write!(
            out,
            "<text x=\"0\" y=\"-9\">{} (darkest {largest:.2e})</text>\n<g transform=\"scale({side:.4})\" shape-rendering=\"crispEdges\">",
            escape(&self.title)
        );
        // One path a shade, of runs of neighbours in a row.
        let mut paths = vec![String::new(); SHADES + 1];
        for (i, row) in cells.chunks_exact(m).enumerate() {
            let mut j = 0;
            while j < m {
                let (from, colour) = (j, shade(row[j]));
                while j < m && shade(row[j]) == colour {
                    j += 1;
                }
                let _ = write!(paths[colour], "M{from} {i}h{run}v1h-{run}z", run = j - from);
            }
        }
        for (colour, path) in paths.iter().enumerate().skip(1).filter(|(_, path)| !path.is_empty()) {
            let part = colour as f64 / SHADES as f64;
            let mix = |dark: f64| (255.0 + (dark - 255.0) * part).round();
            let _ = write!(out, "<path fill=\"rgb({},{},{})\" d=\"{path}\"/>", mix(8.0), mix(48.0), mix(107.0));
        }
        out.push_str("</g>");
        for cut in &self.cuts {
            let at = *cut as f64 / self.n as f64 * SIDE;
            let _ = write!(
                out,
                "<path d=\"M0 {at:.1}H{SIDE}M{at:.1} 0V{SIDE}\" stroke=\"#d62728\" stroke-width=\"0.6\" fill=\"none\"/>"
            );
        }
        let _ = writeln!(out, "<rect width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#5a5a5a\"/>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_map_draws_zero_as_nothing_and_pools_large_matrices() {
        let map = |n: usize, entries| HeatMap { title: "a < b".into(), n, entries, largest: 0.0, cuts: vec![1] };
        let identity = [1.0, 0.0, 0.0, 1.0];
        let svg = row(&[map(2, &identity)]);
        assert!(svg.contains("<path fill=\"rgb(8,48,107)\" d=\"M0 0h1v1h-1zM1 1h1v1h-1z\"/>"), "{svg}");
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN"));
        let mut large = vec![0.0; 300 * 300];
        large[299 * 300] = -2.0;
        let (m, cells) = map(300, &large).cells();
        assert_eq!((m, cells.iter().filter(|c| **c > 0.0).count(), cells[119]), (120, 1, 2.0));
        assert!(!row(&[map(1, &[0.0])]).contains("rgb("));
    }
}
