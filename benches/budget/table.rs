//! What is printed: one row for each figure, beside what it must and should be.

/// One figure.
pub struct Row {
    /// What it is.
    pub what: String,
    /// How much it is, in the unit that `what` names.
    pub figure: Figure,
    /// More than this is a failure: what it was when it was last measured, and a little more.
    pub limit: Option<f64>,
    /// What the design wants of it.
    pub budget: Option<Budget>,
}

/// How much something is.
pub enum Figure {
    /// So much.
    Measured(f64),
    /// Not known, and why.
    Unmeasured(String),
}

/// What a figure may come to.
#[derive(Clone, Copy)]
pub struct Budget {
    /// At most this.
    pub must: f64,
    /// Better this.
    pub aim: f64,
}

/// How a figure stands to its budget.
#[derive(PartialEq, Eq)]
pub enum Verdict {
    /// Neither of the others; also when it was not measured.
    Within,
    /// More than the design allows, though no more than it was.
    Over,
    /// Over its limit.
    Worse,
}

impl Row {
    /// A figure with a budget.
    pub fn judged(what: impl Into<String>, measured: f64, limit: f64, budget: Budget) -> Self {
        Self { budget: Some(budget), ..Self::held(what, measured, limit) }
    }

    /// A figure without a budget, which is not to become worse.
    pub fn held(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { limit: Some(limit), ..Self::told(what, measured) }
    }

    /// A figure that is only told.
    pub fn told(what: impl Into<String>, measured: f64) -> Self {
        let figure = Figure::Measured(measured);
        Self { what: what.into(), figure, limit: None, budget: None }
    }

    /// What could not be measured, since a tool is missing or failed.
    pub fn unmeasured(what: impl Into<String>, why: impl Into<String>) -> Self {
        let figure = Figure::Unmeasured(why.into());
        Self { what: what.into(), figure, limit: None, budget: None }
    }

    /// How it stands to its limit and its budget.
    pub fn verdict(&self) -> Verdict {
        let Figure::Measured(measured) = self.figure else { return Verdict::Within };
        let is_over = |most: Option<f64>| most.is_some_and(|most| measured > most);
        if is_over(self.limit) {
            Verdict::Worse
        } else if is_over(self.budget.map(|budget| budget.must)) {
            Verdict::Over
        } else {
            Verdict::Within
        }
    }

    /// Prints it.
    pub fn print(&self) {
        let figure = match &self.figure {
            Figure::Measured(measured) => *measured,
            Figure::Unmeasured(why) => return println!("{:56} not measured: {why}", self.what),
        };
        let (must, aim) =
            (self.budget.map(|budget| budget.must), self.budget.map(|budget| budget.aim));
        let [figure, limit, must, aim] = [Some(figure), self.limit, must, aim].map(number);
        let verdict = match self.verdict() {
            Verdict::Worse => "WORSE",
            Verdict::Over => "over",
            Verdict::Within if self.limit.is_some() => "ok",
            Verdict::Within => "",
        };
        println!("{:56} {figure:>10} {limit:>10} {must:>10} {aim:>10} {verdict}", self.what);
    }
}

/// Prints what stands above the rows.
pub fn print_heading() {
    println!("{:56} {:>10} {:>10} {:>10} {:>10}", "", "measured", "limit", "must", "aim");
}

/// Large numbers whole, small ones with two digits.
fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value >= 1000.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
        None => String::new(),
    }
}
