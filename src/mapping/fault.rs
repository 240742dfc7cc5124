//! What is wrong with an expression.

use std::ops::Range;

/// The longest correction that is shown, in characters.
const LONGEST_CORRECTION: usize = 72;

/// A fault of an expression, found before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the expression's text.
    pub span: Range<usize>,
    /// What is wrong: lower-case, without full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The whole expression as it was probably meant; shown in the hint where it can be read.
    instead: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None, instead: None }
    }

    /// What to write instead.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same in another place.
    pub(super) fn at(self, span: Range<usize>) -> Self {
        Self { span, ..self }
    }

    /// The same where there may be no hint.
    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// The whole expression as it was probably meant.
    pub(super) fn instead(mut self, expression: impl Into<String>) -> Self {
        self.instead = Some(expression.into());
        self
    }

    /// Offers the name that is most like the one that was not found.
    pub(super) fn nearest<'n>(mut self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        if let Some(near) = crate::config::nearest(name, known) {
            self.hint = Some(format!("did you mean `{near}`?"));
        }
        self
    }

    /// The whole expression as it was probably meant, if that is known.
    pub(super) fn meant(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// Shows what was probably meant, where `mended` makes an expression of it that is short enough to be read.
    pub(super) fn settled(mut self, mended: impl Fn(String) -> Option<String>) -> Self {
        let meant = self.instead.take().and_then(mended);
        if let Some(meant) = meant.as_deref().map(str::trim).filter(|meant| meant.chars().count() <= LONGEST_CORRECTION)
        {
            self.hint = Some(match self.hint {
                Some(hint) => format!("{hint}: `{meant}`"),
                None => format!("write `{meant}`"),
            });
        }
        self
    }
}
