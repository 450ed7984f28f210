//! Line charts as SVG text: distinct colours and dashes, the legend beside the plot area.
//!
//! A logarithmic axis is drawn as a linear one over `log₁₀`, with powers of ten as its ticks.

use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// How the values of an axis are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Proportional.
    Linear,
    /// Proportional to the logarithm; values that are not positive are left out.
    Log,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// Its layout.
    pub scale: Scale,
    /// Its ends, in the values' own unit.
    pub range: (f64, f64),
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Red, green, blue; unique in a chart.
    pub colour: (u8, u8, u8),
    /// An SVG dash pattern; empty for a solid line.
    pub dash: &'static str,
}

/// Which points of a line get a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// None: a line alone.
    None,
    /// The last one: the end of a run.
    End,
    /// All of them, without a line: data.
    Points,
}

/// One line with its entry in the legend.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name; empty for a line that the legend leaves out.
    pub name: String,
    /// How it is drawn.
    pub style: Style,
    /// Its points.
    pub points: Vec<(f64, f64)>,
    /// Its marks.
    pub mark: Mark,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Its heading.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, drawn in this order.
    pub lines: Vec<Line>,
}

const WIDTH: u32 = 900;
const LEGEND_WIDTH: u32 = 260;
const PLOT_HEIGHT: u32 = 430;
const ROW: i32 = 19;
const TOP: i32 = 40;

/// Colours that stay apart on white, by eye and for the common colour-vision deficiencies when dashes are added.
const COLOURS: [(u8, u8, u8); 20] = [
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (23, 160, 175),
    (140, 86, 75),
    (227, 119, 194),
    (90, 90, 90),
    (160, 165, 20),
    (0, 60, 140),
    (120, 0, 40),
    (0, 90, 50),
    (80, 30, 140),
    (190, 85, 0),
    (95, 195, 230),
    (255, 150, 150),
    (125, 215, 115),
    (190, 170, 225),
    (10, 10, 10),
];

/// The style of the `index`-th line; `dash` says what family it belongs to.
pub fn style(index: usize, dash: &'static str) -> Style {
    let (r, g, b) = COLOURS[index % COLOURS.len()];
    // Beyond the palette colours are told apart by one step, so that dashes still find their line.
    let shift = (index / COLOURS.len()) as u8 % 64;
    Style { colour: (if r < 128 { r + shift } else { r - shift }, g, b), dash }
}

impl Chart {
    /// The chart as one SVG element.
    ///
    /// # Errors
    /// [`Error::Io`] if the drawing library fails.
    pub fn svg(&self) -> Result<String> {
        let legend_height = TOP + ROW * self.named().count() as i32 + 20;
        let mut text = String::new();
        self.draw(&mut text, PLOT_HEIGHT.max(legend_height as u32))
            .map_err(|e| Error::Io { path: format!("chart `{}`", self.title), source: std::io::Error::other(e.to_string()) })?;
        Ok(self.dashed(text))
    }

    fn draw(&self, text: &mut String, height: u32) -> std::result::Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(text, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let (plot, legend) = root.split_horizontally(WIDTH - LEGEND_WIDTH);
        let plot = plot.shrink((0, 0), (WIDTH - LEGEND_WIDTH, PLOT_HEIGHT));
        let (x, y) = (self.x.ends(), self.y.ends());
        let mut chart = ChartBuilder::on(&plot)
            .caption(&self.title, ("sans-serif", 17).into_font().color(&BLACK))
            .margin(8)
            .margin_right(18)
            .x_label_area_size(46)
            .y_label_area_size(62)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .axis_desc_style(("sans-serif", 14))
            .label_style(("sans-serif", 13))
            .x_labels(self.x.ticks())
            .y_labels(self.y.ticks())
            .x_label_formatter(&|v| self.x.tick(*v))
            .y_label_formatter(&|v| self.y.tick(*v))
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .axis_style(RGBColor(90, 90, 90))
            .draw()?;
        for line in &self.lines {
            let colour = line.style.rgb();
            let points: Vec<(f64, f64)> =
                line.points.iter().filter_map(|&(a, b)| Some((self.x.place(a)?, self.y.place(b)?))).collect();
            let marked = match line.mark {
                Mark::None => &[],
                Mark::End => &points[points.len().saturating_sub(1)..],
                Mark::Points => &points[..],
            };
            chart.draw_series(marked.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            if line.mark != Mark::Points {
                chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            }
        }
        self.draw_legend(&legend)?;
        root.present()?;
        Ok(())
    }

    fn draw_legend<D: DrawingBackend>(
        &self,
        area: &DrawingArea<D, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<D::ErrorType>> {
        let font = ("sans-serif", 13).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        for (i, line) in self.named().enumerate() {
            let y = TOP + ROW * i as i32;
            match line.mark {
                Mark::Points => area.draw(&Circle::new((22, y), 3, line.style.rgb().filled()))?,
                _ => area.draw(&PathElement::new([(4, y), (40, y)], line.style.rgb().stroke_width(2)))?,
            }
            area.draw(&Text::new(line.name.clone(), (47, y), font.clone()))?;
        }
        Ok(())
    }

    /// Lines with an entry in the legend.
    fn named(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.name.is_empty())
    }

    /// Adds the dash patterns: the drawing library writes dashes as one element per dash, SVG has them as an attribute.
    fn dashed(&self, mut svg: String) -> String {
        for line in self.lines.iter().filter(|line| !line.style.dash.is_empty()) {
            let (r, g, b) = line.style.colour;
            let stroke = format!("<polyline fill=\"none\" opacity=\"1\" stroke=\"#{r:02X}{g:02X}{b:02X}\"");
            svg = svg.replace(&stroke, &format!("{stroke} stroke-dasharray=\"{}\"", line.style.dash));
        }
        svg
    }
}

impl Style {
    fn rgb(&self) -> RGBColor {
        RGBColor(self.colour.0, self.colour.1, self.colour.2)
    }
}

impl Axis {
    /// An axis whose ends enclose `values`; logarithmic ends are whole powers of ten.
    pub fn around(label: impl Into<String>, scale: Scale, values: impl IntoIterator<Item = f64>, limits: (f64, f64)) -> Self {
        let usable = values.into_iter().filter(|v| v.is_finite() && (scale == Scale::Linear || *v > 0.0));
        let (mut low, mut high) = usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            (low, high) = limits;
        }
        low = low.clamp(limits.0, limits.1);
        high = high.clamp(limits.0, limits.1);
        if scale == Scale::Log {
            (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
        }
        if low >= high {
            (low, high) = if scale == Scale::Log { (low, low * 10.0) } else { (low, low + 1.0) };
        }
        Self { label: label.into(), scale, range: (low, high) }
    }

    /// The same with some room at both ends of a linear axis.
    pub fn roomy(mut self) -> Self {
        if self.scale == Scale::Linear {
            let room = 0.04 * (self.range.1 - self.range.0);
            self.range = (self.range.0 - room, self.range.1 + room);
        }
        self
    }

    fn ends(&self) -> (f64, f64) {
        match self.scale {
            Scale::Linear => self.range,
            Scale::Log => (self.range.0.log10(), self.range.1.log10()),
        }
    }

    /// Where a value lies on the drawn axis; values outside are moved to the end.
    fn place(&self, value: f64) -> Option<f64> {
        let (low, high) = self.ends();
        match self.scale {
            Scale::Linear => value.is_finite().then(|| value.clamp(low, high)),
            Scale::Log => (value.is_finite() && value > 0.0).then(|| value.log10().clamp(low, high)),
        }
    }

    fn ticks(&self) -> usize {
        let (low, high) = self.ends();
        match self.scale {
            Scale::Linear => 6,
            // No more ticks than powers of ten, so that every tick is one.
            Scale::Log => ((high - low).round() as usize + 1).clamp(2, 12),
        }
    }

    fn tick(&self, value: f64) -> String {
        if self.scale == Scale::Linear {
            let size = self.range.0.abs().max(self.range.1.abs());
            let short = (1e-3..1e6).contains(&size);
            return if short { format!("{}", (value * 1e6).round() / 1e6) } else { format!("{value:.2e}") };
        }
        let power = value.round();
        if (value - power).abs() > 1e-9 {
            return String::new();
        }
        let raised = |c: char| match c {
            '-' => '⁻',
            '0' => '⁰',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
        };
        match power as i32 {
            0 => "1".into(),
            1 => "10".into(),
            p => format!("10{}", p.to_string().chars().map(raised).collect::<String>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "a < b & c".into(),
            x: Axis::around("work", Scale::Log, [1.0, 37.0, f64::NAN], (1e-3, 1e6)),
            y: Axis::around("gradient", Scale::Log, [1e-9, 4.0, 0.0], (1e-16, 1e16)),
            lines: (0..3)
                .map(|i| Line {
                    name: format!("solver {i}"),
                    style: style(i, if i == 1 { "7 3" } else { "" }),
                    points: vec![(1.0, 1.0), (f64::NAN, 3.0), (10.0, 0.0), (1e9, 1e-9)],
                    mark: Mark::End,
                })
                .collect(),
        }
    }

    #[test]
    fn axis_around_values_ends_at_powers_of_ten() {
        let chart = chart();
        assert_eq!(chart.x.range, (1.0, 100.0));
        assert!((chart.y.range.0 / 1e-9 - 1.0).abs() < 1e-12 && (chart.y.range.1 / 10.0 - 1.0).abs() < 1e-12);
        assert_eq!(chart.y.tick(-12.0), "10⁻¹²");
        assert_eq!(chart.y.tick(4.0), "10⁴");
        assert_eq!(chart.y.tick(0.5), "");
        let empty = Axis::around("", Scale::Linear, [f64::NAN], (0.0, 1.0));
        assert_eq!(empty.range, (0.0, 1.0));
        assert_eq!(empty.roomy().range, (-0.04, 1.04));
        assert_eq!(Axis::around("", Scale::Linear, [-2e-9, 3e-9], (-1.0, 1.0)).tick(2e-9), "2.00e-9");
    }

    #[test]
    fn svg_has_a_dash_pattern_for_its_line_only_and_no_value_that_is_not_finite() {
        let svg = chart().svg().unwrap();
        // Once in the plot, once in the legend.
        assert_eq!(svg.matches("stroke-dasharray=\"7 3\"").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.contains("a &lt; b &amp; c"));
    }

    #[test]
    fn styles_of_many_lines_are_all_different() {
        let mut seen: Vec<_> = (0..60).map(|i| style(i, "").colour).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 60);
    }
}
