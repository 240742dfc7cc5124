//! The texts of the configuration, kept so that a fault can show the line it is about.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::escapes::raw_offset;
use super::fault::Fault;
use super::mask;
use super::model::{Expr, Place};

/// The largest file that is read. A real configuration has some kilobytes.
const LARGEST_FILE_BYTES: u64 = 16 << 20;

/// The most files that a folder may have.
const MOST_FILES: usize = 1_000;

/// The files that a configuration was read from, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Vec<File>,
}

/// One file.
#[derive(Clone)]
struct File {
    name: String,
    folder: PathBuf,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
    /// What is never shown: the values of secrets.
    secrets: Vec<Range<usize>>,
}

// By hand: the text may hold a secret.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("name", &self.name).field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

/// One line of a file, as a fault shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: usize,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Its text without the line's end.
    pub(super) text: &'a str,
    /// Parts of the file that are not shown.
    pub(super) secrets: &'a [Range<usize>],
}

impl Files {
    /// Reads one file, or every `*.toml` of a folder in the order of their names (no subfolders, no hidden ones).
    ///
    /// # Errors
    /// All files that could not be read, without a place.
    pub(super) fn read(path: &Path) -> Result<Self, Vec<Fault>> {
        let paths = if path.is_dir() { toml_files(path)? } else { vec![path.to_owned()] };
        let mut files = Self::default();
        let mut faults = Vec::new();
        for path in paths {
            match read_text(&path) {
                Ok(text) => files.add(&path, text),
                Err(fault) => faults.push(*fault),
            }
        }
        if faults.is_empty() { Ok(files) } else { Err(faults) }
    }

    /// Adds a text under a name. Relative paths in it start at the name's folder.
    pub fn add(&mut self, path: &Path, text: String) {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let secrets = mask::secrets(&text);
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        self.files.push(File { name: path.display().to_string(), folder, text, lines, secrets });
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A file's name as it was given.
    pub fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |file| &file.name)
    }

    /// A file's text. It may hold secrets: not for a log.
    pub fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |file| &file.text)
    }

    /// The texts in order.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.text.as_str())
    }

    /// The folder at which relative paths of a file start.
    pub(super) fn folder(&self, file: usize) -> &Path {
        self.files.get(file).map_or(Path::new(""), |file| &file.folder)
    }

    /// A place as editors and people write it: `conf.toml:12:1`.
    pub fn locate(&self, place: &Place) -> String {
        let Some(line) = self.line(place) else {
            return self.name(place.file).to_owned();
        };
        let before = self.text(place.file).get(line.start..place.span.start).unwrap_or_default();
        format!("{}:{}:{}", self.name(place.file), line.number, before.chars().count() + 1)
    }

    /// Where a part of an expression stands: exact also where the text has escapes.
    pub fn place_in(&self, expr: &Expr, part: Range<usize>) -> Place {
        let file = expr.place.file;
        let start = expr.place.span.start;
        let raw = self.text(file).get(expr.place.span.clone()).unwrap_or_default();
        let offset =
            |offset: usize| start + if raw == expr.text { offset.min(raw.len()) } else { raw_offset(raw, offset) };
        Place { file, span: offset(part.start)..offset(part.end) }
    }

    /// Where the value of a table's setting stands, without its quotes: the table's head is at `head`. `None` where no
    /// line begins with it (dotted keys).
    pub fn setting_of(&self, head: &Place, setting: &str) -> Option<Place> {
        let mut at = head.span.end;
        for line in self.table_behind(head)?.split_inclusive('\n') {
            let bare = line.trim_start();
            let value = bare.strip_prefix(setting).and_then(|rest| rest.trim_start().strip_prefix('='));
            if let Some(value) = value {
                let value = value.trim();
                let quoted = value.starts_with(['"', '\'']);
                let end =
                    if quoted { value[1..].find(&value[..1]).map_or(value.len(), |end| end + 1) } else { value.len() };
                let start = at + line.find(value)? + usize::from(quoted);
                return Some(Place { file: head.file, span: start..start + end - usize::from(quoted) });
            }
            at += line.len();
        }
        None
    }

    /// Where a key stands that belongs to what `owner` names: in its inline table or in a table of its own.
    pub fn key_of(&self, owner: &Place, key: &str) -> Option<Place> {
        let text = self.table_behind(owner)?;
        let is_bare = |char: char| char.is_alphanumeric() || char == '_' || char == '-';
        text.match_indices(key).find_map(|(at, _)| {
            let before = !text[..at].ends_with(is_bare);
            let behind = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
            let start = owner.span.end + at;
            (before && behind.starts_with('=')).then(|| Place { file: owner.file, span: start..start + key.len() })
        })
    }

    /// Where a text stands, without its quotes, that belongs to what `owner` names.
    pub fn text_of(&self, owner: &Place, text: &str) -> Option<Place> {
        let behind = self.table_behind(owner)?;
        let at = ['"', '\''].iter().filter_map(|quote| behind.find(&format!("{quote}{text}{quote}"))).min()?;
        let start = owner.span.end + at + 1;
        Some(Place { file: owner.file, span: start..start + text.len() })
    }

    /// What a line that is no TOML leaves in doubt: itself, and where it is a table's head all up to the next.
    pub(super) fn reach(&self, place: &Place, to_the_end: bool) -> Range<usize> {
        let Some(line) = self.line(place) else { return place.span.clone() };
        if to_the_end {
            return line.start..self.text(place.file).len() + 1;
        }
        let end = line.start + line.text.len();
        let is_head = line.text.trim_start().starts_with('[') && !line.text.contains('=');
        let text = self.text(place.file).get(end..).unwrap_or_default();
        let behind = text.find("\n[").map_or(text.len(), |next| next + 1);
        line.start..end + if is_head { behind } else { 1 }
    }

    /// The text behind a place up to the next table's head.
    fn table_behind(&self, place: &Place) -> Option<&str> {
        let text = self.text(place.file).get(place.span.end..)?;
        Some(text.find("\n[").map_or(text, |end| &text[..=end]))
    }

    /// The line in which a place starts.
    pub(super) fn line(&self, place: &Place) -> Option<Line<'_>> {
        let file = self.files.get(place.file)?;
        let at = place.span.start.min(file.text.len());
        let index = file.lines.partition_point(|start| *start <= at).checked_sub(1)?;
        let start = *file.lines.get(index)?;
        let text = file.text.get(start..)?.lines().next().unwrap_or_default();
        Some(Line { number: index + 1, start, text, secrets: &file.secrets })
    }
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let unreadable =
        |error: &io::Error| vec![Fault::error(format!("cannot read the folder {}: {error}", folder.display()))];
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        let fault = Fault::error(format!("there is no *.toml in the folder {}", folder.display()));
        return Err(vec![fault.hint("write passerelle.toml there, or name another file or folder with --config")]);
    }
    if paths.len() > MOST_FILES {
        return Err(vec![Fault::error(format!("there are more than {MOST_FILES} files in {}", folder.display()))]);
    }
    Ok(paths)
}

fn read_text(path: &Path) -> Result<String, Box<Fault>> {
    let fault =
        |why: String, hint: &str| Box::new(Fault::error(format!("cannot read {}: {why}", path.display())).hint(hint));
    let size = fs::metadata(path).map_err(|error| read_fault(path, &error))?.len();
    if size > LARGEST_FILE_BYTES {
        let why = format!("it is larger than {} MiB", LARGEST_FILE_BYTES >> 20);
        return Err(fault(why, "a configuration has some kilobytes"));
    }
    let bytes = fs::read(path).map_err(|error| read_fault(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
        fault(format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

fn read_fault(path: &Path, error: &io::Error) -> Box<Fault> {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "name the file or folder with --config; the default is /etc/passerelle",
        io::ErrorKind::PermissionDenied => {
            "run this as root or as the user passerelle, or let it read: chgrp passerelle FILE; chmod 640 FILE"
        }
        _ => "passerelle needs to read it at start and at each reload",
    };
    Box::new(Fault::error(format!("cannot read {}: {error}", path.display())).hint(hint))
}
