//! What stands in `pick` and `rollup` around expressions: an order of several, and a function over rows.

use std::ops::Range;

use super::{Argument, Expr, ExprKind, Parser, Token, TokenKind};
use crate::mapping::fault::Fault;

/// An expression to sort by.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mapping) struct Sorted {
    pub(in crate::mapping) expr: Expr,
    pub(in crate::mapping) descending: bool,
}

/// A function over related rows: `sum(amount, within = '30d', by = date_order)`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mapping) struct Call {
    pub(in crate::mapping) name: String,
    pub(in crate::mapping) name_span: Range<usize>,
    /// Of which words without a name, such as `distinct`, look like columns.
    pub(in crate::mapping) arguments: Vec<Argument>,
}

/// Parses an order: `is_primary desc, idx`.
pub(in crate::mapping) fn order(text: &str) -> Result<Vec<Sorted>, Fault> {
    read_order(text).map_err(|fault| fault.settled(|meant| read_order(&meant).is_ok().then_some(meant)))
}

/// Parses a function over rows.
pub(in crate::mapping) fn figure(text: &str) -> Result<Call, Fault> {
    read_figure(text).map_err(|fault| fault.settled(|meant| read_figure(&meant).is_ok().then_some(meant)))
}

fn read_order(text: &str) -> Result<Vec<Sorted>, Fault> {
    let mut parser = Parser::new(text)?;
    let mut all = Vec::new();
    loop {
        let expr = parser.expression()?;
        all.push(Sorted { expr, descending: parser.direction().unwrap_or(false) });
        if let Some(nulls) = parser.is_any_word("nulls").then(|| parser.peek().span.clone()) {
            let fault = Fault::new(nulls.start..text.len(), "null comes last, in both directions");
            return Err(fault.hint("leave it out").instead(text[..nulls.start].trim_end()));
        }
        if !parser.take_symbol(",") {
            return parser.whole(all);
        }
    }
}

fn read_figure(text: &str) -> Result<Call, Fault> {
    const FORM: &str = "`count()`, `sum(amount_total)`, `last(name, by = date_order)`";
    let mut parser = Parser::new(text)?;
    let name = match parser.next() {
        Token { kind: TokenKind::Name(name), span } if parser.is_symbol("(") => (name, span),
        Token { .. } => {
            let fault = Fault::new(0..text.len(), "a figure is made of all rows by a function");
            return Err(fault.hint(FORM));
        }
    };
    let opener = parser.next().span;
    let mut arguments = Vec::new();
    while !parser.is_symbol(")") {
        if parser.is_symbol("*") {
            let fault = Fault::new(parser.peek().span.clone(), "rows are counted without a `*`");
            return Err(fault.instead(text.replacen('*', "", 1)));
        }
        if let Some(distinct) = parser.leading_distinct() {
            let fault = Fault::new(distinct, "`distinct` stands behind the value");
            return Err(fault.hint(format!("`{}(x, distinct)`", name.0)));
        }
        arguments.push(parser.argument(&opener)?);
        let at = parser.peek().span.clone();
        if parser.direction() == Some(true) {
            let value = Expr { kind: ExprKind::Column("desc".to_owned()), span: at, depth: 1 };
            arguments.push(Argument { name: None, value });
        }
        parser.separated(")", &opener)?;
    }
    parser.close(")", &opener)?;
    if parser.peek().kind != TokenKind::End {
        let fault = Fault::new(parser.peek().span.start..text.len(), "a figure is one function, and ends with it");
        return Err(fault.hint("what is made of it stands in the field: `orders.total / 2`"));
    }
    let (name, name_span) = name;
    Ok(Call { name, name_span, arguments })
}

impl Parser<'_> {
    /// `desc` or `asc`: whether it is the first.
    fn direction(&mut self) -> Option<bool> {
        let descending = self.is_any_word("desc");
        if descending || self.is_any_word("asc") {
            self.at += 1;
            return Some(descending);
        }
        None
    }

    /// A word, in whatever case: SQL's.
    fn is_any_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Name(here) if here.eq_ignore_ascii_case(word))
    }

    /// `distinct x`, as SQL has it.
    fn leading_distinct(&self) -> Option<Range<usize>> {
        let behind = &self.tokens.get(self.at + 1)?.kind;
        let is_value = matches!(behind, TokenKind::Name(_) | TokenKind::Text(_) | TokenKind::Symbol("("));
        (self.is_any_word("distinct") && is_value).then(|| self.peek().span.clone())
    }
}
