//! Where a mapping's settings stand in its file, for those that the configuration keeps no place of.

use crate::config::Files;
use crate::config::model::{Mapping, Place};

/// The place of a quoted `name` in the line of the mapping's `setting`; the mapping's head where there is no such line
/// (dotted keys, escapes).
pub(super) fn of(files: &Files, mapping: &Mapping, setting: &str, name: &str) -> Place {
    find(files, mapping, setting, name).unwrap_or_else(|| mapping.place.clone())
}

fn find(files: &Files, mapping: &Mapping, setting: &str, name: &str) -> Option<Place> {
    let Place { file, span } = &mapping.place;
    let mut at = span.end;
    for line in files.text(*file).get(span.end..)?.split_inclusive('\n') {
        let bare = line.trim_start();
        if bare.starts_with('[') {
            return None;
        }
        let is_setting = bare.strip_prefix(setting).is_some_and(|rest| rest.trim_start().starts_with('='));
        if is_setting {
            let quoted = ['"', '\''].iter().find_map(|quote| line.find(&format!("{quote}{name}{quote}")))?;
            let start = at + quoted + 1;
            return Some(Place { file: *file, span: start..start + name.len() });
        }
        at += line.len();
    }
    None
}
