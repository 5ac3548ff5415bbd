//! Drawing: the few shapes that charts are made of, and their colours.
//!
//! A chart brings its own light background, so that it reads the same on a light and on a dark page.

use std::fmt::Write as _;

/// The width of every chart: that of a page's column.
pub const WIDTH: f64 = 800.0;

/// Ours, what stands out.
pub const OURS: &str = "#c2410c";
/// Ours, where it is one part of two.
pub const OURS_LIGHT: &str = "#f0a071";
/// Another's.
pub const THEIRS: &str = "#64748b";
/// Another's, where it is one part of two.
pub const THEIRS_LIGHT: &str = "#b4bfcc";
/// Words.
pub const INK: &str = "#1f2933";
/// Words of less weight.
pub const PALE: &str = "#5f6b7a";
/// Lines that only guide the eye.
pub const LINE: &str = "#dde3ea";

/// Where words stand relative to their place.
#[derive(Clone, Copy)]
pub enum Anchor {
    /// They begin there.
    Start,
    /// They are centred on it.
    Middle,
    /// They end there.
    End,
}

/// How words look.
#[derive(Clone, Copy)]
pub struct Style {
    /// Their height.
    pub size: f64,
    /// Their colour.
    pub colour: &'static str,
    /// Whether they are bold.
    pub weight: Weight,
}

/// How heavy words are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As usual.
    Normal,
    /// Bold.
    Bold,
}

/// Titles.
pub const TITLE: Style = Style { size: 17.0, colour: INK, weight: Weight::Bold };
/// What stands below titles.
pub const SUBTITLE: Style = Style { size: 12.5, colour: PALE, weight: Weight::Normal };
/// Labels.
pub const LABEL: Style = Style { size: 13.5, colour: INK, weight: Weight::Normal };
/// The words of axes.
pub const AXIS: Style = Style { size: 11.5, colour: PALE, weight: Weight::Normal };

/// A chart as it is drawn.
pub struct Drawing {
    height: f64,
    title: String,
    shapes: String,
}

impl Drawing {
    /// An empty one with its title and the two lines below it, the last of which ends at 75.
    pub fn new(height: f64, title: &str, subtitles: [&str; 2]) -> Self {
        let mut drawing = Self { height, title: title.to_owned(), shapes: String::new() };
        drawing.text((24.0, 34.0), Anchor::Start, TITLE, title);
        drawing.text((24.0, 55.0), Anchor::Start, SUBTITLE, subtitles[0]);
        drawing.text((24.0, 72.0), Anchor::Start, SUBTITLE, subtitles[1]);
        drawing
    }

    /// A filled rectangle.
    pub fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        self.shape(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" fill="{fill}"/>"#,
            width.max(0.5)
        ));
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.shape(format_args!(
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>"#,
            points.join(" ")
        ));
    }

    /// Words.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, style: Style, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if style.weight == Weight::Bold { r#" font-weight="600""# } else { "" };
        self.shape(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{}" fill="{}"{weight}>{}</text>"#,
            style.size,
            style.colour,
            escaped(words)
        ));
    }

    fn shape(&mut self, shape: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.shapes, "{shape}"); // writing to text does not fail
    }

    /// The whole file.
    pub fn finish(self) -> String {
        let (height, title) = (self.height, escaped(&self.title));
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{title}" font-family="system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', sans-serif">
<title>{title}</title>
<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>
{}</svg>
"##,
            self.shapes
        )
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_break_out_of_the_drawing() {
        let svg = Drawing::new(100.0, "a < b & \"c\"", ["", ""]).finish();
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("a < b"));
    }
}
