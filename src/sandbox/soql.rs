//! A small part of the query language: `SELECT fields|COUNT() FROM Object [WHERE field = value|!= value|>= value|IN (values)
//! [AND …]] [LIMIT n]`, with fields of parents (`Account.Name`).

use serde_json::{Value, json};

use super::check::same;
use super::problem::Refusal;
use super::store::{At, Store};

/// Records of one page.
pub(super) const PAGE: usize = 2_000;

/// Longest query that is read, in bytes.
const MAX_QUERY: usize = 100_000;

#[derive(Debug, PartialEq)]
struct Query {
    /// Empty for `COUNT()`.
    fields: Vec<String>,
    object: String,
    conditions: Vec<Condition>,
    limit: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct Condition {
    field: String,
    values: Vec<Value>,
    negated: bool,
    /// `>=`: a number or a moment.
    at_least: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// Answers a query from its `offset`-th record on; the next page is named by `next`.
pub(super) fn run(
    store: &Store,
    text: &str,
    offset: usize,
    version: &str,
    next: impl Fn(usize) -> String,
) -> Result<Value, Refusal> {
    let query = parse(text)?;
    let unknown = format!("sObject type '{}' is not supported.", query.object);
    let object = store.schema.number(&query.object).ok_or_else(|| Refusal::new(400, "INVALID_TYPE", unknown))?;
    let fields: Vec<String> =
        query.fields.iter().map(|field| store.readable(object, field)).collect::<Result<_, _>>()?;
    let mut conditions = Vec::new();
    for condition in &query.conditions {
        conditions.push((store.readable(object, &condition.field)?, condition));
    }
    let holds = |at: &At| conditions.iter().all(|(field, condition)| condition.holds(&store.read(*at, field)));
    let mut found: Vec<At> = match narrowed(store, object, &conditions) {
        Some(few) => few.into_iter().filter(holds).collect(),
        None => store.all(object).filter(holds).collect(),
    };
    found.truncate(query.limit.unwrap_or(usize::MAX));
    let total = found.len();
    if query.fields.is_empty() {
        return Ok(json!({"totalSize": total, "done": true, "records": []}));
    }
    let records: Vec<Value> =
        found.iter().skip(offset).take(PAGE).map(|&at| store.read_record(at, &fields, version)).collect();
    let end = offset + records.len();
    let mut answer = json!({"totalSize": total, "done": end >= total, "records": records});
    if end < total {
        answer["nextRecordsUrl"] = json!(next(end));
    }
    Ok(answer)
}

/// The few records that can match, where a condition names external ids or ids.
fn narrowed(store: &Store, object: usize, conditions: &[(String, &Condition)]) -> Option<Vec<At>> {
    let external: Vec<&str> = store.object(object).external_ids().collect();
    let (field, condition) = conditions.iter().find(|(field, condition)| {
        !condition.negated && !condition.at_least && (field == "Id" || external.contains(&field.as_str()))
    })?;
    if condition.values.iter().any(Value::is_null) {
        return None;
    }
    let find = |value: &Value| match field.as_str() {
        "Id" => store.find_id(value.as_str()?).ok().filter(|at| at.object == object),
        field => store.find_external(object, field, value),
    };
    let mut found: Vec<At> = condition.values.iter().filter_map(find).collect();
    found.sort_unstable();
    found.dedup();
    Some(found)
}

impl Condition {
    fn holds(&self, held: &Value) -> bool {
        if self.at_least {
            return self
                .values
                .iter()
                .all(|least| rank(held).zip(rank(least)).is_some_and(|(held, least)| held >= least));
        }
        let any = self.values.iter().any(|value| match (value.as_str(), held.as_str()) {
            // Text is compared without regard to case, and ids by their first 15 characters, which that includes.
            (Some(wanted), Some(held)) => wanted.to_lowercase() == held.to_lowercase(),
            _ => same(value, held),
        });
        any != self.negated
    }
}

/// A number, or a moment in seconds since 1970: what can be more or less.
fn rank(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text,
        value => return value.as_f64(),
    };
    let text = text.strip_suffix("+0000").map_or_else(|| text.clone(), |text| format!("{text}Z"));
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_microsecond() as f64 / 1e6)
}

fn parse(text: &str) -> Result<Query, Refusal> {
    if text.len() > MAX_QUERY {
        return Err(malformed("the query is too long"));
    }
    let mut tokens = Reader { tokens: tokenize(text)?, next: 0 };
    tokens.keyword("select")?;
    let mut fields = Vec::new();
    let first = tokens.word()?;
    if first.eq_ignore_ascii_case("count") && tokens.take(&Token::Sign('(')) {
        tokens.sign(')')?;
    } else {
        fields.push(first);
        while tokens.take(&Token::Sign(',')) {
            fields.push(tokens.word()?);
        }
    }
    tokens.keyword("from")?;
    let object = tokens.word()?;
    let mut conditions = Vec::new();
    if tokens.take_keyword("where") {
        conditions.push(condition(&mut tokens)?);
        while tokens.take_keyword("and") {
            conditions.push(condition(&mut tokens)?);
        }
    }
    let limit = if tokens.take_keyword("limit") {
        Some(tokens.word()?.parse().map_err(|_| malformed("LIMIT needs a number"))?)
    } else {
        None
    };
    match tokens.peek() {
        None => Ok(Query { fields, object, conditions, limit }),
        Some(token) => Err(malformed(&format!("unexpected token: {token:?} (the sandbox reads a part of SOQL only)"))),
    }
}

fn condition(tokens: &mut Reader) -> Result<Condition, Refusal> {
    let field = tokens.word()?;
    if tokens.take_keyword("in") {
        tokens.sign('(')?;
        let mut values = vec![tokens.value()?];
        while tokens.take(&Token::Sign(',')) {
            values.push(tokens.value()?);
        }
        tokens.sign(')')?;
        return Ok(Condition { field, values, negated: false, at_least: false });
    }
    let negated = tokens.take(&Token::Sign('!'));
    let at_least = !negated && tokens.take(&Token::Sign('>'));
    tokens.sign('=')?;
    Ok(Condition { field, values: vec![tokens.value()?], negated, at_least })
}

struct Reader {
    tokens: Vec<Token>,
    next: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn take_keyword(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    fn keyword(&mut self, wanted: &str) -> Result<(), Refusal> {
        if self.take_keyword(wanted) { Ok(()) } else { Err(malformed(&format!("expecting {}", wanted.to_uppercase()))) }
    }

    fn sign(&mut self, wanted: char) -> Result<(), Refusal> {
        if self.take(&Token::Sign(wanted)) { Ok(()) } else { Err(malformed(&format!("expecting '{wanted}'"))) }
    }

    fn word(&mut self) -> Result<String, Refusal> {
        match self.tokens.get(self.next) {
            Some(Token::Word(word)) => {
                self.next += 1;
                Ok(word.clone())
            }
            _ => Err(malformed("expecting a name")),
        }
    }

    fn value(&mut self) -> Result<Value, Refusal> {
        let value = match self.tokens.get(self.next) {
            Some(Token::Text(text)) => json!(text),
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "null" => Value::Null,
                "true" => json!(true),
                "false" => json!(false),
                // A number, or a date or moment, which stand without quotes.
                plain => match plain.parse::<f64>() {
                    Ok(number) if number.is_finite() => json!(number),
                    _ if plain.starts_with(|c: char| c.is_ascii_digit()) => json!(word),
                    _ => return Err(malformed(&format!("unexpected value {word}"))),
                },
            },
            _ => return Err(malformed("expecting a value")),
        };
        self.next += 1;
        Ok(value)
    }
}

fn tokenize(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            blank if blank.is_whitespace() => {}
            '\'' => tokens.push(Token::Text(quoted(&mut letters)?)),
            '(' | ')' | ',' | '=' | '!' | '>' => tokens.push(Token::Sign(letter)),
            letter if is_word(letter) => {
                let mut word = String::from(letter);
                while let Some(more) = letters.next_if(|&letter| is_word(letter)) {
                    word.push(more);
                }
                tokens.push(Token::Word(word));
            }
            other => return Err(malformed(&format!("unexpected character '{other}'"))),
        }
    }
    Ok(tokens)
}

/// The rest of a text whose opening quote is read.
fn quoted(letters: &mut impl Iterator<Item = char>) -> Result<String, Refusal> {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => return Ok(text),
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some(plain) => text.push(plain),
                None => break,
            },
            plain => text.push(plain),
        }
    }
    Err(malformed("a text does not end"))
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "_.-+:".contains(letter)
}

fn malformed(text: &str) -> Refusal {
    Refusal::new(400, "MALFORMED_QUERY", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let query = parse(
            r"select Id, Account.Name from Contact where Erp_Id__c in ('a', 'O\'Hara') and Amount != 1.5 limit 3",
        )
        .unwrap();
        assert_eq!(query.fields, ["Id", "Account.Name"]);
        assert_eq!((query.object.as_str(), query.limit), ("Contact", Some(3)));
        assert_eq!(query.conditions[0].values, [json!("a"), json!("O'Hara")]);
        assert_eq!(
            query.conditions[1],
            Condition { field: "Amount".into(), values: vec![json!(1.5)], negated: true, at_least: false }
        );
        assert!(parse("SELECT COUNT() FROM Account").unwrap().fields.is_empty());
        let since = parse("SELECT Id FROM Contact WHERE LastModifiedDate >= 2026-01-31T08:00:00Z").unwrap();
        for (held, holds) in [("2026-01-31T08:00:00.000+0000", true), ("2026-01-31T07:59:59.999+0000", false)] {
            assert_eq!(since.conditions[0].holds(&json!(held)), holds, "{held}");
        }
        assert!(!since.conditions[0].holds(&Value::Null));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "select",
            "SELECT Id",
            "SELECT Id FROM",
            "SELECT Id FROM A WHERE x",
            "SELECT Id FROM A WHERE x = 'a",
            "SELECT Id FROM A WHERE x = y",
            "SELECT Id FROM A ORDER BY Id",
            "SELECT Id FROM A WHERE x IN ()",
            "SELECT ; FROM A",
        ] {
            assert_eq!(parse(text).unwrap_err().problem.code, "MALFORMED_QUERY", "{text}");
        }
    }
}
