//! What is printed: one row for each figure, beside what it must and should be.

/// One figure.
pub struct Row {
    /// What it is.
    pub what: String,
    /// How much it is, in the unit that `what` names.
    pub figure: Figure,
    /// What it may be; `None`: it is only told.
    pub budget: Option<Budget>,
}

/// How much something is.
pub enum Figure {
    /// So much.
    Measured(f64),
    /// Not known, and why.
    Unmeasured(String),
}

/// What a figure may be at most.
#[derive(Clone, Copy)]
pub struct Budget {
    /// More than this is a failure.
    pub must: f64,
    /// What it should come to.
    pub aim: f64,
}

/// How a figure stands to its budget.
#[derive(PartialEq, Eq)]
pub enum Verdict {
    /// At or under what it must be; also when it has no budget, or was not measured.
    Within,
    /// Over it.
    Over,
}

impl Row {
    /// A figure with a budget.
    pub fn judged(what: impl Into<String>, measured: f64, must: f64, aim: f64) -> Self {
        let (figure, budget) = (Figure::Measured(measured), Some(Budget { must, aim }));
        Self { what: what.into(), figure, budget }
    }

    /// A figure that is only told.
    pub fn told(what: impl Into<String>, measured: f64) -> Self {
        Self { what: what.into(), figure: Figure::Measured(measured), budget: None }
    }

    /// What could not be measured, since a tool is missing or failed.
    pub fn unmeasured(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), figure: Figure::Unmeasured(why.into()), budget: None }
    }

    /// How it stands to its budget.
    pub fn verdict(&self) -> Verdict {
        match (&self.figure, self.budget) {
            (Figure::Measured(measured), Some(budget)) if *measured > budget.must => Verdict::Over,
            _ => Verdict::Within,
        }
    }

    /// Prints it.
    pub fn print(&self) {
        let figure = match &self.figure {
            Figure::Measured(measured) => number(*measured),
            Figure::Unmeasured(why) => return println!("{:56} not measured: {why}", self.what),
        };
        match self.budget {
            Some(Budget { must, aim }) => {
                let verdict = match self.verdict() {
                    Verdict::Over => "OVER",
                    Verdict::Within => "ok",
                };
                let (must, aim) = (number(must), number(aim));
                println!("{:56} {figure:>10} {must:>10} {aim:>10} {verdict}", self.what);
            }
            None => println!("{:56} {figure:>10}", self.what),
        }
    }
}

/// Prints what stands above the rows.
pub fn print_heading() {
    println!("{:56} {:>10} {:>10} {:>10}", "", "measured", "must", "aim");
}

/// Large numbers whole, small ones with two digits.
fn number(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
