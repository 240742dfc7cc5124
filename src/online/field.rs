//! One field of a mapping against the CRM's: whether it can be written, and whether the value can ever fit.

use passerelle_crm::salesforce::{Described, DescribedField};

use super::Wish;
use super::compare::{Pass, by_name};
use super::given::Given;
use crate::config::model::{Field, FieldSource, Mapping, Missing, Place};
use crate::config::{Fault, nearest};
use crate::mapping::Sent;

/// The most values that a hint names.
const VALUES_SHOWN: usize = 12;

impl Pass<'_> {
    pub(super) fn field(&mut self, described: &Described, field: &Field) {
        if let FieldSource::Reference { mappings, .. } = &field.value {
            return self.reference(described, field, mappings);
        }
        if let FieldSource::Unkept { object, by, .. } = &field.value {
            return self.unkept(described, field, object, by);
        }
        if by_name(described, &field.name).is_none() {
            self.missing_field(described, &field.name, &field.place);
            return self.wish_field(field);
        }
        let given = self.given(field);
        self.value(described, &field.name, &given, &field.place, field.create_only);
    }

    /// A value against its field. `once` where it need not be changed later, or only then.
    pub(super) fn value(&mut self, described: &Described, name: &str, given: &Given, place: &Place, once: bool) {
        let Some(field) = by_name(described, name) else { return self.missing_field(described, name, place) };
        if !self.writable(described, field, place, once) {
            return;
        }
        let constant = given.written.first().filter(|_| given.place.is_none());
        let of_constant = constant.and_then(|text| self.files.text_of(place, text));
        let of_value = given.place.as_ref().or(of_constant.as_ref()).unwrap_or(place);
        for sent in &given.sent {
            if let Some(unfit) = unfit(&field.kind, *sent) {
                let message = format!("`{}` is {}; this gives {}", field.name, a_field_of(&field.kind), a_value(*sent));
                let fault = if unfit.never { Fault::error(message) } else { Fault::warning(message) };
                let is_word = constant.is_some_and(|text| text == "true" || text == "false");
                let hint = match constant.filter(|_| is_word && field.kind == "boolean") {
                    Some(word) => format!("without quotes: {{ const = {word} }}"),
                    None => unfit.hint.replace("{x}", &self.operand(given)),
                };
                self.fault(fault.at(of_value).hint(hint));
            }
        }
        self.lengths(field, given, place);
        self.picklist(field, given, place);
    }

    /// The expression of a value as an operand, or `x` where it is long or a constant.
    fn operand(&self, given: &Given) -> String {
        let text = given.place.as_ref().and_then(|place| self.files.text(place.file).get(place.span.clone()));
        let plain = |text: &&str| text.chars().all(|c| c == '_' || c == '.' || c.is_alphanumeric());
        match text.map(str::trim).filter(|text| text.len() <= 40) {
            Some(text) if plain(&text) => text.to_owned(),
            Some(text) => format!("({text})"),
            None => "x".to_owned(),
        }
    }

    fn writable(&mut self, described: &Described, field: &DescribedField, place: &Place, once: bool) -> bool {
        let name = &field.name;
        let fault = |message: String, hint: &str| Fault::error(message).at(place).hint(hint);
        if field.calculated || field.auto_number {
            let how = if field.auto_number { "numbered" } else { "computed (a formula or a roll-up)" };
            self.fault(fault(
                format!("`{name}` is {how} by the CRM and cannot be written"),
                "take it out of the fields",
            ));
            return false;
        }
        let parts = ["address", "location", "complexvalue"].contains(&field.kind.as_str());
        let is_name = name == "Name" && by_name(described, "LastName").is_some();
        if parts || (is_name && !field.createable) {
            let hint = if is_name {
                "write `FirstName` and `LastName`"
            } else {
                "write its parts, such as BillingStreet, BillingCity"
            };
            self.fault(fault(format!("`{name}` is made of other fields and cannot be written"), hint));
            return false;
        }
        match (field.createable, field.updateable) {
            (true, true) => true,
            (true, false) if once => true,
            (true, false) => {
                let message = format!("`{name}` can be given when the record is created and never changed");
                self.fault(fault(message, "add authority = \"create_only\""));
                false
            }
            (false, _) => {
                let message = format!("`{name}` is read-only for the integration user");
                self.fault(fault(
                    message,
                    "give its permission set edit access to the field; system fields cannot be written by anyone",
                ));
                self.wish("give rights", name, "edit access to the field".to_owned());
                false
            }
        }
    }

    fn lengths(&mut self, field: &DescribedField, given: &Given, place: &Place) {
        if field.length == 0 || !is_text(&field.kind) {
            return;
        }
        let takes = field.length;
        for text in given.written.iter().filter(|text| text.chars().count() > takes as usize) {
            let length = text.chars().count();
            let message = format!("`{}` takes {takes} characters; this constant has {length}", field.name);
            let place = self.files.text_of(place, text).unwrap_or_else(|| place.clone());
            self.fault(Fault::error(message).at(&place).hint("shorten it, or make the field longer"));
        }
        if let Some(most) = given.most_chars.filter(|most| *most > takes) {
            let message = format!("`{}` takes {takes} characters; this gives up to {most}", field.name);
            let fault = Fault::warning(message).at(given.place.as_ref().unwrap_or(place));
            let meant = format!("{} | truncate({takes})", self.operand(given));
            self.fault(fault.hint(format!("`{meant}` cuts it; longer values are refused")));
        }
    }

    fn picklist(&mut self, field: &DescribedField, given: &Given, place: &Place) {
        let is_picklist = ["picklist", "multipicklist"].contains(&field.kind.as_str());
        if !is_picklist || !field.restricted_picklist {
            return;
        }
        let values: Vec<&str> =
            field.picklist_values.iter().filter(|value| value.active).map(|value| value.value.as_str()).collect();
        let several = field.kind == "multipicklist";
        let unknown = |text: &str| {
            let mut parts = if several { text.split(';').collect() } else { vec![text] };
            parts.retain(|part| !part.is_empty() && !values.contains(part));
            parts.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut wanted = Vec::new();
        for (texts, is_sure) in [(&given.written, true), (&given.may_be, false)] {
            for text in texts.iter().flat_map(|text| unknown(text)) {
                let message = format!("`{}` has no value '{text}', and takes no others than its own", field.name);
                let fault = if is_sure { Fault::error(message) } else { Fault::warning(message) };
                let place = if is_sure {
                    self.files.text_of(place, &text).unwrap_or_else(|| place.clone())
                } else {
                    given.place.as_ref().unwrap_or(place).clone()
                };
                self.fault(fault.at(&place).hint(values_hint(&text, &values)));
                wanted.push(text);
            }
        }
        if !wanted.is_empty() {
            let note = format!("add the values: {} (or correct the mapping)", wanted.join("; "));
            self.push(Wish {
                action: "change field",
                api_name: field.name.clone(),
                label: field.label.clone(),
                kind: "Picklist".to_owned(),
                note,
                ..Wish::default()
            });
        }
    }

    /// A reference: by its relationship's name, to the objects that the parents' mappings make.
    fn reference(&mut self, described: &Described, field: &Field, mappings: &[String]) {
        let Some(known) = self.relationship(described, field) else { return };
        let parents: Vec<&Mapping> = mappings.iter().filter_map(|name| self.config.mappings.get(name)).collect();
        for parent in &parents {
            let names = |object: &String| object.eq_ignore_ascii_case(&parent.object);
            if known.reference_to.is_empty() || known.reference_to.iter().any(names) {
                continue;
            }
            let objects = known.reference_to.join("`, `");
            let message =
                format!("`{}` refers to `{objects}`; [mapping.{}] makes `{}`", field.name, parent.name, parent.object);
            let fault = Fault::error(message).at(&field.place).also(&parent.place, "the mapping referred to");
            return self.fault(fault.hint("name the mapping that makes those records, or another relationship"));
        }
        // Records of several objects are referred to by their ids.
        let is_one = parents.windows(2).all(|two| two[0].object.eq_ignore_ascii_case(&two[1].object));
        if known.reference_to.len() > 1 && is_one {
            let message = format!("`{}` may refer to several kinds of records", field.name);
            let fault = Fault::error(message).at(&field.place);
            self.fault(fault.hint("the API takes no external key there: choose a lookup to one object"));
        }
    }

    /// A reference to a record that no mapping keeps: the object and the field by which it is found.
    fn unkept(&mut self, described: &Described, field: &Field, object: &str, by: &str) {
        let place = |text: &str| self.files.text_of(&field.place, text).unwrap_or_else(|| field.place.clone());
        let (at_object, at_by) = (place(object), place(by));
        match self.org.object(object) {
            None => {
                let message = format!("the CRM has no object `{object}`, or the integration user may not see it");
                let hint = match nearest(object, self.org.objects.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "let the integration user see it".to_owned(),
                };
                return self.fault(Fault::error(message).at(&at_object).hint(hint));
            }
            Some(theirs) => self.found_by(theirs, by, &at_by),
        }
        let Some(known) = self.relationship(described, field) else { return };
        if !known.reference_to.is_empty() && !known.reference_to.iter().any(|name| name.eq_ignore_ascii_case(object)) {
            let objects = known.reference_to.join("`, `");
            let message = format!("`{}` refers to `{objects}`, not to `{object}`", field.name);
            self.fault(Fault::error(message).at(&at_object).hint("name one of those, or another relationship"));
        }
        if field.missing == Missing::Null && !known.nillable {
            let message = format!("`{}` cannot be empty, and `missing` clears it", field.name);
            self.fault(Fault::error(message).at(&field.place).hint("missing = \"omit\" leaves what the CRM has"));
        }
    }

    /// The field of an object by which its records are found.
    fn found_by(&mut self, theirs: &Described, by: &str, place: &Place) {
        let Some(field) = by_name(theirs, by) else {
            let message = format!("`{}` has no field `{by}`, or the integration user may not see it", theirs.name);
            let near = nearest(by, theirs.fields.iter().map(|field| field.name.as_str()));
            let hint = near
                .map_or_else(|| "let the integration user see it".to_owned(), |near| format!("did you mean `{near}`?"));
            return self.fault(Fault::error(message).at(place).hint(hint));
        };
        let kind = field.kind.as_str();
        if kind != "id" && kind != "picklist" && (kind == "textarea" || !is_text(kind)) {
            let message = format!("records cannot be found by `{}`, which is {}", field.name, a_field_of(kind));
            self.fault(
                Fault::error(message)
                    .at(place)
                    .hint("name a field of text, such as an external id or an e-mail address"),
            );
        }
    }

    /// The lookup behind a reference, where it is there and can be written; else what is wrong is noted.
    fn relationship<'d>(&mut self, described: &'d Described, field: &Field) -> Option<&'d DescribedField> {
        let of = |known: &&DescribedField| {
            known.relationship_name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&field.name))
        };
        let Some(known) = described.fields.iter().find(of) else {
            let names = described.fields.iter().filter_map(|known| known.relationship_name.as_deref());
            let fault =
                Fault::error(format!("`{}` has no relationship `{}`", described.name, field.name)).at(&field.place);
            let hint = match nearest(&field.name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => match names.collect::<Vec<_>>().join("`, `") {
                    names if names.is_empty() => "create the lookup: --crm-fields FILE writes a list".to_owned(),
                    names => format!("its relationships are `{names}`"),
                },
            };
            self.fault(fault.hint(hint));
            self.wish_field(field);
            return None;
        };
        self.writable(described, known, &field.place, field.create_only).then_some(known)
    }
}

fn values_hint(text: &str, values: &[&str]) -> String {
    if let Some(near) = nearest(text, values.iter().copied()) {
        return format!("did you mean '{near}'?");
    }
    let more = if values.len() > VALUES_SHOWN { ", …" } else { "" };
    let shown: Vec<String> = values.iter().take(VALUES_SHOWN).map(|value| format!("'{value}'")).collect();
    format!("its values: {}{more}", shown.join(", "))
}

/// Why a value does not fit a type.
struct Unfit {
    /// It is refused whatever the value.
    never: bool,
    hint: &'static str,
}

/// Salesforce refuses a whole request for a value of another JSON type than its field's, but reads numbers out of text.
fn unfit(kind: &str, sent: Sent) -> Option<Unfit> {
    let never = |hint| Some(Unfit { never: true, hint });
    let perhaps = |hint| Some(Unfit { never: false, hint });
    let other = "choose another field, or make the value fit";
    match (kind, sent) {
        (_, Sent::Null)
        | ("boolean", Sent::Bool)
        | ("int" | "long", Sent::Integer)
        | ("double" | "currency" | "percent", Sent::Integer | Sent::Number)
        | ("date", Sent::Date)
        | ("datetime", Sent::Instant)
        | ("time", Sent::Time | Sent::Text)
        | ("reference" | "base64", Sent::Text) => None,
        ("boolean", Sent::Text) => never("read it: `{x} | bool`; a constant is true or false without quotes"),
        ("boolean", Sent::Integer | Sent::Number) => never("compare it: `{x} != 0`"),
        ("boolean", Sent::Date | Sent::Instant) => never("ask whether it is there: `{x} is not none`"),
        ("int" | "long", Sent::Number) => perhaps("a fraction is refused; rounded: `{x} | round`"),
        ("int" | "long" | "double" | "currency" | "percent", Sent::Text) => {
            perhaps("read as a number, which shows what is none: `{x} | number`")
        }
        ("int" | "long" | "double" | "currency" | "percent", Sent::Bool) => never("in numbers: `1 if {x} else 0`"),
        ("date", Sent::Text | Sent::Instant) => never("the date of it: `{x} | date`"),
        ("datetime", Sent::Text | Sent::Date) => never("an instant of it: `{x} | datetime`"),
        ("date" | "datetime", Sent::Bool) => never("name a column that says when, or a checkbox field for this one"),
        ("reference", _) => never("it holds the CRM's own id: { reference = \"mapping\", value = \"…\" } finds it"),
        (
            "boolean" | "int" | "long" | "double" | "currency" | "percent" | "date" | "datetime" | "time" | "base64",
            _,
        ) => never(other),
        (kind, Sent::Bool) if is_text(kind) || is_choice(kind) => never("say it in text: `'yes' if {x} else 'no'`"),
        (kind, Sent::Integer | Sent::Number) if is_text(kind) || is_choice(kind) => {
            never("make it text: `{x} ~ ''`; a constant stands in quotes")
        }
        ("picklist", Sent::List) => perhaps("a picklist takes one value"),
        // Text takes everything else, and what we do not know is not judged.
        _ => None,
    }
}

fn is_text(kind: &str) -> bool {
    ["string", "textarea", "phone", "url", "email", "encryptedstring", "combobox"].contains(&kind)
}

fn is_choice(kind: &str) -> bool {
    ["picklist", "multipicklist"].contains(&kind)
}

fn a_field_of(kind: &str) -> &str {
    match kind {
        "boolean" => "a checkbox",
        "int" | "long" => "a whole number",
        "double" => "a number",
        "currency" => "an amount of money",
        "percent" => "a percentage",
        "date" => "a date",
        "datetime" => "a date and time",
        "time" => "a time of day",
        "reference" => "a lookup",
        "picklist" => "a picklist",
        "multipicklist" => "a multi-select picklist",
        kind if is_text(kind) => "text",
        kind => kind,
    }
}

fn a_value(sent: Sent) -> &'static str {
    match sent {
        Sent::Null => "null",
        Sent::Bool => "a boolean",
        Sent::Integer => "an integer",
        Sent::Number => "a number",
        Sent::Text => "text",
        Sent::Date => "a date",
        Sent::Time => "a time of day",
        Sent::Instant => "an instant",
        Sent::List => "a list",
    }
}
