//! The `html_text` filter: what a page shows, without its marks. One pass over the text.

use html_escape::decode_html_entities;

/// Elements that stand on lines of their own.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// Elements between which there is a blank.
const CELLS: &[&str] = &["td", "th"];
/// Elements whose content is not shown.
const HIDDEN: &[&str] = &["script", "style", "template", "title"];

/// The text between the tags: entities resolved, blanks drawn together, a line for each block.
pub(super) fn shown(html: &str) -> String {
    let mut out = Shown { text: String::with_capacity(html.len()), gap: Gap::None };
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push(before);
        rest = match read_tag(tag) {
            None => {
                out.push("<");
                &tag[1..]
            }
            Some(Tag { name, after }) => {
                if is_one_of(name, BLOCKS) {
                    out.widen(Gap::Line);
                } else if is_one_of(name, CELLS) {
                    out.widen(Gap::Blank);
                }
                if is_one_of(name, HIDDEN) && !tag.starts_with("</") { behind_element(name, after) } else { after }
            }
        };
    }
    out.push(rest);
    out.text
}

struct Tag<'t> {
    /// Without the slash; empty for comments and declarations.
    name: &'t str,
    /// What stands behind it.
    after: &'t str,
}

/// The tag at the start; one that nothing ends runs to the text's end, as in a browser. `None`: a mere `<`.
fn read_tag(text: &str) -> Option<Tag<'_>> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return Some(Tag { name: "", after: comment.split_once("-->").map_or("", |(_, after)| after) });
    }
    let inner = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    match inner.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => {}
        Some('!' | '?') => return Some(Tag { name: "", after: inner.split_once('>').map_or("", |(_, after)| after) }),
        _ => return None,
    }
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let (name, attributes) = inner.split_at(end);
    let mut quote = None;
    for (at, byte) in attributes.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(Tag { name, after: &attributes[at + 1..] }),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    Some(Tag { name, after: "" })
}

/// What stands behind `</name`; the closing tag itself is read as any other.
fn behind_element<'t>(name: &str, text: &'t str) -> &'t str {
    let mut from = 0;
    while let Some(found) = text[from..].find("</") {
        let at = from + found;
        let after = &text.as_bytes()[at + 2..];
        if after.get(..name.len()).is_some_and(|closing| closing.eq_ignore_ascii_case(name.as_bytes())) {
            return &text[at..];
        }
        from = at + 2;
    }
    ""
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Blank,
    Line,
}

struct Shown {
    text: String,
    /// What has to stand before the next character.
    gap: Gap,
}

impl Shown {
    fn push(&mut self, raw: &str) {
        for c in decode_html_entities(raw).chars() {
            if c.is_whitespace() {
                self.widen(Gap::Blank);
                continue;
            }
            if !self.text.is_empty() {
                match self.gap {
                    Gap::None => {}
                    Gap::Blank => self.text.push(' '),
                    Gap::Line => self.text.push('\n'),
                }
            }
            self.gap = Gap::None;
            self.text.push(c);
        }
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }
}
