//! What stands where something else is due: said in the words of whoever wrote it, with the whole expression as it was
//! probably meant.

use std::ops::Range;

use super::{KEYWORDS, Parser};
use crate::mapping::fault::Fault;
use crate::mapping::lexer::{Token, TokenKind};
use crate::mapping::{filters, foreign};

/// Constants, which are written in lower case or as Python has them.
const CONSTANTS: &[&str] = &["true", "false", "none", "null"];

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A column, a constant, a list, parentheses.
    Value,
    /// An operator, or the end.
    Operator,
    /// Behind `|`.
    FilterName,
    /// Behind a point.
    ColumnName,
    /// Behind `row[`.
    QuotedName,
    /// Behind `is`.
    Null,
}

impl Due {
    fn name(self) -> &'static str {
        match self {
            Self::Value => "a value",
            Self::Operator => "an operator or the end",
            Self::FilterName => "a filter's name",
            Self::ColumnName => "a column's name",
            Self::QuotedName => "a column's name in quotes",
            Self::Null => "`none`",
        }
    }
}

impl Parser<'_> {
    /// The token here is not what is due.
    pub(super) fn stray(&self, due: Due) -> Fault {
        let Token { kind, span } = self.peek();
        match kind {
            TokenKind::End => self.ended(due),
            TokenKind::Symbol(symbol) => self.symbol(symbol, span, due),
            TokenKind::Name(name) => self.word(name, span, due),
            TokenKind::Text(text) => self.text(text, span, due),
            TokenKind::Int(_) | TokenKind::Decimal(_) => self.number(span, due),
        }
    }

    /// What `opener` opened is not closed where it should be.
    pub(super) fn unclosed(&self, closer: &'static str, opener: &Range<usize>) -> Fault {
        let open = &self.text[opener.clone()];
        let Token { kind, span } = self.peek();
        match kind {
            TokenKind::End => {
                let fault = Fault::new(opener.clone(), format!("this `{open}` is not closed"));
                fault.hint(format!("add `{closer}`")).instead(format!("{}{closer}", self.text))
            }
            TokenKind::Symbol(other @ (")" | "]")) if *other != closer => {
                let fault = Fault::new(span.clone(), format!("`{other}` stands where `{closer}` is due"));
                fault.instead(self.splice(span, closer))
            }
            // `('a', 'b')`, Python's and SQL's list; a filter's parentheses are not passed here with a comma.
            TokenKind::Symbol(",") if closer == ")" => {
                let fault = Fault::new(opener.start..span.end, "parentheses hold one value; a list stands in brackets");
                match self.closing(opener) {
                    Some(end) => {
                        let items = &self.text[opener.end..end.start];
                        fault.instead(format!("{}[{items}]{}", &self.text[..opener.start], &self.text[end.end..]))
                    }
                    None => fault.hint("`['a', 'b']`"),
                }
            }
            _ => self.stray(Due::Operator),
        }
    }

    /// `upper(name)`, `name.upper()`: parentheses behind a name. The token here is the opening one.
    pub(super) fn call(&self, path: &[String], span: &Range<usize>) -> Fault {
        let opener = self.peek().span.clone();
        let Some(end) = self.closing(&opener) else {
            let fault = Fault::new(opener, "this `(` is not closed");
            return fault.hint("add `)`").instead(format!("{})", self.text));
        };
        let Some((name, receiver)) = path.split_last() else { return self.stray(Due::Operator) };
        if receiver.is_empty() && KEYWORDS.contains(&name.to_lowercase().as_str()) {
            let fault = Fault::new(span.clone(), format!("`{name}` is written in lower case"));
            return fault.instead(self.in_lower_case());
        }
        let mut arguments = self.arguments(opener.end..end.start);
        let owner = receiver.join(".");
        let is_method = !receiver.is_empty();
        if is_method {
            arguments.insert(0, &owner);
        }
        let lower = name.to_lowercase();
        let is_ours = filters::is_filter(&lower);
        let fault = if is_method {
            Fault::new(span.start..end.end, format!("values have no methods: there is no `.{name}()`"))
        } else if is_ours {
            Fault::new(span.clone(), format!("`{lower}` is a filter, not a function: it stands behind the value"))
        } else {
            Fault::new(span.clone(), format!("there is no function `{name}`"))
        };
        let meant = foreign::call(name, &arguments, filters::is_filter);
        let fault = match foreign::filter(name) {
            // What was meant says it all.
            Some(foreign::Instead::Say(_)) if meant.is_some() => fault,
            Some(foreign::Instead::Say(hint)) if !is_ours => fault.hint(hint),
            _ if is_ours => fault,
            Some(foreign::Instead::Called(filter)) => fault.hint(format!("the filter `{filter}` does it")),
            Some(foreign::Instead::Say(_)) | None => {
                let hint = "filters stand behind a bar: `name | upper`";
                let fault = fault.hint(hint);
                fault.nearest(&lower, filters::names())
            }
        };
        match meant {
            Some(meant) => fault.instead(self.splice(&(span.start..end.end), &meant)),
            None => fault,
        }
    }

    /// `doc['name']`, `tags[0]`: the token here stands behind the bracket, `head` ends with it.
    pub(super) fn indexed(&self, head: &Range<usize>, name: &str) -> Fault {
        let (part, closer) = (self.peek(), self.behind());
        let is_part = matches!(part.kind, TokenKind::Text(_) | TokenKind::Int(_));
        match closer.filter(|closer| is_part && closer.kind == TokenKind::Symbol("]")) {
            Some(closer) => {
                let whole = head.start..closer.span.end;
                let fault = Fault::new(whole.clone(), "values are not indexed").hint("a part of JSON");
                fault.instead(self.splice(&whole, &format!("{name} | json({})", self.text_of(part))))
            }
            None => values_have_no_parts(head.clone()),
        }
    }

    /// The text with a part of it replaced.
    fn splice(&self, span: &Range<usize>, with: &str) -> String {
        format!("{}{with}{}", &self.text[..span.start], &self.text[span.end..])
    }

    /// The token before this one.
    fn before(&self) -> Option<&Token> {
        self.tokens.get(self.at.checked_sub(1)?)
    }

    /// The token behind this one.
    fn behind(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1)
    }

    fn text_of(&self, token: &Token) -> &str {
        &self.text[token.span.clone()]
    }

    /// Whether the token before this one is a filter's name, which has arguments or is none that we know.
    fn is_behind_filter(&self) -> bool {
        let bar = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        bar.is_some_and(|token| token.kind == TokenKind::Symbol("|"))
            && self.before().is_some_and(|filter| filters::takes_arguments(self.text_of(filter)))
    }

    /// Where what was opened is closed.
    fn closing(&self, opener: &Range<usize>) -> Option<Range<usize>> {
        let start = self.tokens.iter().position(|token| token.span == *opener)?;
        let mut depth = 0_usize;
        for token in &self.tokens[start..] {
            match token.kind {
                TokenKind::Symbol("(" | "[") => depth += 1,
                TokenKind::Symbol(")" | "]") => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(token.span.clone());
            }
        }
        None
    }

    /// The parts of a span between its commas.
    fn arguments(&self, span: Range<usize>) -> Vec<&str> {
        let (mut parts, mut start, mut depth) = (Vec::new(), span.start, 0_usize);
        for token in self.tokens.iter().filter(|token| span.contains(&token.span.start)) {
            match token.kind {
                TokenKind::Symbol("(" | "[") => depth += 1,
                TokenKind::Symbol(")" | "]") => depth = depth.saturating_sub(1),
                TokenKind::Symbol(",") if depth == 0 => {
                    parts.push(self.text[start..token.span.start].trim());
                    start = token.span.end;
                }
                _ => {}
            }
        }
        parts.push(self.text[start..span.end].trim());
        parts.retain(|part| !part.is_empty());
        parts
    }

    fn ended(&self, due: Due) -> Fault {
        let Some(last) = self.before() else { return self.plain(due) };
        let last_text = self.text_of(last);
        let missing = |what: &str| Fault::new(last.span.clone(), format!("{what} is missing behind `{last_text}`"));
        match due {
            Due::Value if last_text == "(" || last_text == "[" => {
                Fault::new(last.span.clone(), format!("this `{last_text}` is not closed"))
            }
            Due::Value if last_text == "else" => missing("a value").hint("without `else` it is null"),
            Due::Value => missing("a value"),
            Due::FilterName => missing("a filter's name").instead(&self.text[..last.span.start]),
            Due::ColumnName => missing("a column's name"),
            Due::QuotedName => missing("a column's name in quotes"),
            Due::Null => {
                let fault = missing("`none`").hint("`is` asks for null");
                fault.instead(format!("{} none", self.text.trim_end()))
            }
            Due::Operator => self.plain(due),
        }
    }

    fn symbol(&self, symbol: &str, span: &Range<usize>, due: Due) -> Fault {
        let fault = |message: &str| Fault::new(span.clone(), message);
        let before = self.before();
        let is_number = |token: Option<&Token>| {
            token.is_some_and(|token| matches!(token.kind, TokenKind::Int(_) | TokenKind::Decimal(_)))
        };
        match (symbol, due) {
            ("=", Due::Operator) => fault("two values are compared with `==`").instead(self.splice(span, "==")),
            (")" | "]", Due::Operator) => {
                let fault = Fault::new(span.clone(), format!("this `{symbol}` closes nothing"));
                fault.hint("take it out, or open it before").instead(self.splice(span, ""))
            }
            (",", Due::Operator) if is_number(before) && is_number(self.behind()) => {
                fault("a number is written with a point").instead(self.splice(span, "."))
            }
            (",", Due::Operator) => {
                let hint = "texts are joined: `name ~ ', ' ~ city`; a list stands in brackets: `[name, city]`";
                fault("an expression makes one value, and here begins a second").hint(hint)
            }
            ("[", Due::Operator) => values_have_no_parts(span.clone()),
            (".", Due::Operator) if is_number(before) && is_number(self.behind()) => {
                fault("a number has one point").hint("numbers are written like 12 or 12.50, texts stand in quotes")
            }
            (".", Due::Operator) if is_number(before) => {
                fault("behind the point of a number stands a digit").instead(self.splice(span, ""))
            }
            (".", Due::Value) if is_number(self.behind()) => {
                fault("before the point of a number stands a digit").instead(self.splice(span, "0."))
            }
            (")", Due::Value) if before.is_some_and(|before| self.text_of(before) == "(") => {
                fault("there is nothing between the parentheses").hint("an empty text is ''")
            }
            (_, Due::Value) => self.nothing_before(symbol, span),
            (_, Due::FilterName) => {
                let fault = Fault::new(span.clone(), format!("a filter's name is missing before `{symbol}`"));
                fault.hint("such as `name | trim`")
            }
            (_, Due::Operator | Due::ColumnName | Due::QuotedName | Due::Null) => self.plain(due),
        }
    }

    /// An operator without a value on its left.
    fn nothing_before(&self, operator: &str, span: &Range<usize>) -> Fault {
        match self.before() {
            None => Fault::new(span.clone(), format!("a value is missing before `{operator}`")),
            Some(before) => {
                let message = format!("a value is missing between `{}` and `{operator}`", self.text_of(before));
                Fault::new(before.span.start..span.end, message)
            }
        }
    }

    fn word(&self, name: &str, span: &Range<usize>, due: Due) -> Fault {
        let lower = name.to_lowercase();
        let is_word = KEYWORDS.contains(&lower.as_str());
        if is_word && lower != name {
            let fault = Fault::new(span.clone(), format!("`{name}` is written in lower case"));
            return fault.instead(self.in_lower_case());
        }
        match due {
            Due::Operator => self.word_for_operator(name, &lower, span),
            Due::Value if lower == "if" => self.if_first(span),
            Due::Value if lower == "not" => {
                let fault = Fault::new(span.clone(), "`not` stands in parentheses here");
                fault.hint("`a == (not b)`")
            }
            Due::Value if is_word => {
                self.nothing_before(name, span).hint(format!("a column of that name is written row['{name}']"))
            }
            Due::Null => self.other_test(name, &lower, span),
            Due::QuotedName => self.plain(due).instead(self.splice(span, &format!("'{name}'"))),
            Due::Value | Due::FilterName | Due::ColumnName => self.plain(due),
        }
    }

    /// `NOT`, which is read as a column's name.
    fn is_capital_keyword(&self, token: &Token) -> bool {
        let text = self.text_of(token);
        let lower = text.to_lowercase();
        lower != text && KEYWORDS.contains(&lower.as_str())
    }

    /// Every keyword and constant in lower case.
    fn in_lower_case(&self) -> String {
        let mut meant = self.text.to_owned();
        for token in self.tokens.iter().rev() {
            let TokenKind::Name(name) = &token.kind else { continue };
            let lower = name.to_lowercase();
            if KEYWORDS.contains(&lower.as_str()) || CONSTANTS.contains(&lower.as_str()) {
                meant.replace_range(token.span.clone(), &lower);
            }
        }
        meant
    }

    fn word_for_operator(&self, name: &str, lower: &str, span: &Range<usize>) -> Fault {
        let before = self.before();
        if let Some(keyword) = before.filter(|before| self.is_capital_keyword(before)) {
            let fault =
                Fault::new(keyword.span.clone(), format!("`{}` is written in lower case", self.text_of(keyword)));
            return fault.instead(self.in_lower_case());
        }
        if let Some(symbol) = foreign::operator(lower) {
            let fault = Fault::new(span.clone(), format!("`{name}` is written `{symbol}`"));
            return fault.instead(self.splice(span, symbol));
        }
        if let Some((message, hint)) = foreign::word(lower) {
            let fault = Fault::new(span.clone(), message);
            return match self.with_operators(lower, span) {
                // What was meant says it all.
                Some(meant) if !lower.ends_with("like") => fault.instead(meant),
                Some(meant) => fault.hint(hint).instead(meant),
                None => fault.hint(hint),
            };
        }
        let Some(before) = before else { return self.plain(Due::Operator) };
        if self.is_behind_filter() {
            return self.bare_argument(before, span);
        }
        if lower == "else" {
            let fault = Fault::new(span.clone(), "this `else` has no `if`");
            return fault.hint("a choice is `a if condition else b`");
        }
        if lower == "not" {
            return Fault::new(span.clone(), "`not` stands before what it denies").hint("`not (a == b)`, `a not in b`");
        }
        let is_name =
            |token: &Token| matches!(&token.kind, TokenKind::Name(name) if !KEYWORDS.contains(&name.as_str()));
        if !is_name(before) {
            let message = format!("an operator is missing between `{}` and `{name}`", self.text_of(before));
            return Fault::new(before.span.start..span.end, message).hint("texts are joined with `~`");
        }
        if let Some((message, hint)) = foreign::word(&self.text_of(before).to_lowercase()) {
            return Fault::new(before.span.clone(), message).hint(hint);
        }
        // A column's name with spaces: all names that stand side by side.
        let start = self.tokens[..self.at].iter().rev().take_while(|token| is_name(token)).last().unwrap_or(before);
        let end = self.tokens[self.at..].iter().take_while(|token| is_name(token)).last();
        let run = start.span.start..end.map_or(span.end, |end| end.span.end);
        let column = &self.text[run.clone()];
        let fault = Fault::new(run.clone(), "two names side by side are no value");
        fault
            .hint("two columns are joined with `~`; one with a space in its name")
            .instead(self.splice(&run, &format!("row['{column}']")))
    }

    /// SQL's words with operators for them, where their operands are single words.
    fn with_operators(&self, lower: &str, span: &Range<usize>) -> Option<String> {
        let before = self.before()?;
        let behind = self.behind()?;
        let at = |offset: usize| self.tokens.get(self.at + offset);
        match lower {
            "like" | "ilike" => {
                let TokenKind::Text(like) = &behind.kind else { return None };
                let pattern = foreign::pattern(like, lower == "ilike");
                Some(self.splice(&(span.start..behind.span.end), &format!("| matches('{pattern}')")))
            }
            "between" => {
                let (and, high) = (at(2)?, at(3)?);
                if self.text_of(and).to_lowercase() != "and" {
                    return None;
                }
                let (value, low, high_text) = (self.text_of(before), self.text_of(behind), self.text_of(high));
                let meant = format!(">= {low} and {value} <= {high_text}");
                Some(self.splice(&(span.start..high.span.end), &meant))
            }
            "startswith" | "endswith" => {
                let TokenKind::Text(part) = &behind.kind else { return None };
                let like = if lower == "startswith" { format!("{part}%") } else { format!("%{part}") };
                let meant = format!("| matches('{}')", foreign::pattern(&like, false));
                Some(self.splice(&(span.start..behind.span.end), &meant))
            }
            "contains" | "includes" => {
                let (whole, part) = (self.text_of(before), self.text_of(behind));
                Some(self.splice(&(before.span.start..behind.span.end), &format!("{part} in {whole}")))
            }
            // `case when active then 'a' else 'b' end`, where it begins the expression.
            "when" if self.at == 1 && self.text_of(before).eq_ignore_ascii_case("case") => {
                let word = |word: &str| {
                    let is_it = |token: &&Token| matches!(&token.kind, TokenKind::Name(name) if name.eq_ignore_ascii_case(word));
                    self.tokens.iter().find(is_it).map(|token| token.span.clone())
                };
                let (then, end) = (word("then")?, word("end").map_or(self.text.len(), |end| end.start));
                let condition = self.text.get(span.end..then.start)?.trim();
                let rest = self.text.get(then.end..end)?;
                Some(match word("else") {
                    Some(other) => {
                        let (yes, no) = (self.text.get(then.end..other.start)?, self.text.get(other.end..end)?);
                        format!("{} if {condition} else {}", yes.trim(), no.trim())
                    }
                    None => format!("{} if {condition}", rest.trim()),
                })
            }
            _ => None,
        }
    }

    /// `truncate 80`.
    fn bare_argument(&self, filter: &Token, span: &Range<usize>) -> Fault {
        let fault = Fault::new(span.clone(), format!("`{}` takes its arguments in parentheses", self.text_of(filter)));
        let meant = format!("({})", &self.text[span.clone()]);
        fault.instead(self.splice(&(filter.span.end..span.end), &meant))
    }

    /// `if active then 'a' else 'b'`.
    fn if_first(&self, span: &Range<usize>) -> Fault {
        let fault = Fault::new(span.clone(), "the value stands before its `if`").hint("`a if condition else b`");
        let word = |word: &str| {
            let is_it = |token: &&Token| matches!(&token.kind, TokenKind::Name(name) if name.to_lowercase() == word);
            self.tokens.iter().find(is_it)
        };
        let (Some(then), Some(otherwise)) = (word("then"), word("else")) else { return fault };
        if self.at != 0 || then.span.start > otherwise.span.start {
            return fault;
        }
        let condition = self.text[span.end..then.span.start].trim();
        let yes = self.text[then.span.end..otherwise.span.start].trim();
        let no = self.text[otherwise.span.end..].trim().trim_end_matches(" end").trim_end_matches(" END");
        Fault::new(span.clone(), "the value stands before its `if`").instead(format!("{yes} if {condition} else {no}"))
    }

    /// Behind `is`: something other than `none`.
    fn other_test(&self, name: &str, lower: &str, span: &Range<usize>) -> Fault {
        if CONSTANTS.contains(&lower) && lower != "true" && lower != "false" {
            return Fault::new(span.clone(), format!("`{name}` is written `none`")).instead(self.splice(span, "none"));
        }
        let negated = self.before().is_some_and(|before| self.text_of(before) == "not");
        match lower {
            "true" | "false" => {
                let is = self.tokens[..self.at].iter().rposition(|token| self.text_of(token) == "is").unwrap_or(0);
                let operand = self.text[..self.tokens[is].span.start].trim();
                let meant = if (lower == "true") == negated { format!("not {operand}") } else { operand.to_owned() };
                let rest = &self.text[span.end..];
                let fault = Fault::new(span.clone(), "a boolean is a condition by itself");
                fault.instead(format!("{meant}{rest}"))
            }
            "empty" | "blank" => {
                let fault = Fault::new(span.clone(), format!("there is no test `{name}`"));
                fault.hint("for null and empty text alike: `(name or none) is none`")
            }
            "defined" | "undefined" => {
                let fault = Fault::new(span.clone(), format!("`is {name}` is not part of the language"));
                fault.hint("a column that is not in the log is left out by itself; for null, `is none`")
            }
            "string" | "number" | "integer" | "float" | "boolean" | "mapping" | "sequence" | "iterable" => {
                let fault = Fault::new(span.clone(), format!("there is no test `{name}`"));
                fault.hint("the types are the database's and do not change from row to row")
            }
            _ => self.is_value(span),
        }
    }

    /// `name is 'x'`: `is` asks for null only.
    fn is_value(&self, span: &Range<usize>) -> Fault {
        let fault = Fault::new(span.clone(), "`is` asks for null only: `is none`, `is not none`");
        let is = self.tokens[..self.at].iter().rposition(|token| self.text_of(token) == "is");
        let Some(is) = is.map(|is| &self.tokens[is]) else { return fault };
        let negated = self.before().is_some_and(|before| self.text_of(before) == "not");
        let symbol = if negated { "!= " } else { "== " };
        fault.hint("values are compared").instead(self.splice(&(is.span.start..span.start), symbol))
    }

    fn text(&self, text: &str, span: &Range<usize>, due: Due) -> Fault {
        match (due, self.before()) {
            (Due::FilterName, _) => {
                Fault::new(span.clone(), "a filter's name stands without quotes").instead(self.splice(span, text))
            }
            (Due::ColumnName, _) => {
                Fault::new(span.clone(), "behind a point stands a name without quotes").instead(self.splice(span, text))
            }
            (Due::Null, _) => self.is_value(span),
            (Due::Operator, Some(before)) if self.is_behind_filter() && before.span.end < span.start => {
                self.bare_argument(before, span)
            }
            (Due::Operator, Some(before))
                if before.span.end == span.start && matches!(before.kind, TokenKind::Name(_)) =>
            {
                let fault = Fault::new(before.span.start..span.end, "a text has no letter before its quote");
                fault.hint("parts are joined with `~`: `'Mr ' ~ name`")
            }
            // `'it''s'`, SQL's quote in a text.
            (Due::Operator, Some(before)) if before.span.end == span.start => {
                let fault = Fault::new(before.span.start..span.end, "two texts side by side are no value");
                fault.hint("a quote in a text is \\' or stands in other quotes; texts are joined with `~`")
            }
            (Due::Operator, Some(before)) => {
                let message = format!("an operator is missing between `{}` and the text", self.text_of(before));
                let fault = Fault::new(before.span.start..span.end, message).hint("texts are joined with `~`");
                fault.instead(self.splice(&(span.start..span.start), "~ "))
            }
            (Due::Value | Due::Operator | Due::QuotedName, _) => self.plain(due),
        }
    }

    fn number(&self, span: &Range<usize>, due: Due) -> Fault {
        match (due, self.before()) {
            (Due::Operator, Some(before)) if self.is_behind_filter() => self.bare_argument(before, span),
            (Due::Operator, Some(before)) if matches!(before.kind, TokenKind::Int(_)) => {
                let fault = Fault::new(before.span.start..span.end, "the digits of a number stand together");
                fault.instead(self.splice(&(before.span.end..span.start), ""))
            }
            (Due::Operator, Some(before)) => {
                let message = format!("an operator is missing between `{}` and the number", self.text_of(before));
                Fault::new(before.span.start..span.end, message)
            }
            (Due::Null, _) => self.is_value(span),
            (Due::QuotedName, _) => values_have_no_parts(span.clone()),
            (Due::Value | Due::Operator | Due::FilterName | Due::ColumnName, _) => self.plain(due),
        }
    }

    /// What stands here, without more to say about it.
    fn plain(&self, due: Due) -> Fault {
        let token = self.peek();
        let due = due.name();
        match token.kind {
            TokenKind::End => Fault::new(token.span.clone(), format!("the expression ends where {due} is due")),
            _ => Fault::new(token.span.clone(), format!("`{}` stands where {due} is due", self.text_of(token))),
        }
    }
}

/// `name[0]`.
fn values_have_no_parts(span: Range<usize>) -> Fault {
    let fault = Fault::new(span, "values are not indexed");
    fault.hint("a part of JSON: `doc | json('name')`; first letters: `name | truncate(3)`; a column of any name: `row['its name']`")
}
