//! Secrets: from a file, the environment or a systemd credential; in plain text with a warning.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use super::keys::{Cases, Form, Key, Keys, PATH, TEXT, text};
use super::section::Found;
use super::tree::Value;

/// A private key has some kilobytes.
const LARGEST_SECRET_BYTES: u64 = 1 << 20;

/// Where a secret is found, or the secret itself.
pub(super) const FORM: Form = Form::Called("secret", &Form::Any(&[text("text", "."), Form::Table(&KEYS)]));

/// Where a secret is found.
pub(super) static KEYS: Keys = Keys {
    keys: &[
        Key::need(
            "credential",
            text("text", "^[^./][^/]*$"),
            r#""NAME""#,
            "a credential that systemd gives to the service: `LoadCredential=NAME:PATH`",
        )
        .with(&["credential"]),
        Key::need("file", PATH, r#""/etc/passerelle/secret""#, "a file that the user `passerelle` can read")
            .with(&["file"]),
        Key::need("env", TEXT, r#""NAME""#, "an environment variable").with(&["env"]),
    ],
    cases: Cases::Key(&["credential", "file", "env"]),
};

/// How a secret is kept elsewhere.
fn forms() -> String {
    format!("{}; a credential comes from systemd", KEYS.forms())
}

/// The secret that a key names. One newline at its end is not part of it.
pub(super) fn read(found: &Found<'_>) -> Option<SecretString> {
    match &found.node.value {
        Value::Text(text, _) if text.is_empty() => found.fault(format!("`{}` is empty", found.name), forms()),
        Value::Text(text, _) => {
            found.warn(
                format!("`{}` stands in plain text in the configuration", found.name),
                format!("keep it elsewhere: {}", forms()),
            );
            Some(text.clone().into())
        }
        Value::Table(_) => elsewhere(found),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Time(_) | Value::List(_) => found.fault(
            format!("`{}` must be a table that says where it is found, not {}", found.name, found.node.value.kind()),
            forms(),
        ),
    }
}

fn elsewhere(found: &Found<'_>) -> Option<SecretString> {
    let mut section = found.table()?;
    let way = ["credential", "file", "env"].into_iter().find_map(|way| section.take(way));
    section.finish(|_| Some(forms()));
    let way = way?;
    let name = way.text()?;
    if !found.context.read_secrets {
        return Some(SecretString::default());
    }
    let text = match way.name {
        "file" => from_file(&way, &way.path()?),
        "env" => from_env(&way, name),
        _ => from_credential(&way, name),
    }?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return way.fault(format!("the {} `{name}` is empty", way_title(way.name)), "write the secret into it");
    }
    Some(text.to_owned().into())
}

fn way_title(way: &str) -> &'static str {
    match way {
        "file" => "file",
        "env" => "environment variable",
        _ => "credential",
    }
}

fn from_file(way: &Found<'_>, path: &Path) -> Option<String> {
    let open = fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match open {
        Ok(opened) => opened,
        Err(error) => {
            return way.fault(
                format!("cannot read {}: {error}", path.display()),
                "the user that runs passerelle must be able to read it",
            );
        }
    };
    if metadata.is_file() && metadata.permissions().mode() & 0o004 != 0 {
        let hint = format!("chmod o= {}", path.display());
        way.warn(format!("every user of this machine can read {}", path.display()), hint);
    }
    let mut text = String::new();
    match file.take(LARGEST_SECRET_BYTES).read_to_string(&mut text) {
        Ok(_) => Some(text),
        Err(error) => way.fault(format!("cannot read {}: {error}", path.display()), "a secret is text in UTF-8"),
    }
}

fn from_env(way: &Found<'_>, name: &str) -> Option<String> {
    (way.context.env)(name).or_else(|| {
        let service = format!("systemctl edit passerelle, [Service] Environment={name}=…");
        let hint = format!("export {name}=…, or for the service: {service}");
        way.fault(format!("the environment variable `{name}` is not set"), hint)
    })
}

fn from_credential(way: &Found<'_>, name: &str) -> Option<String> {
    if name.contains('/') || name.starts_with('.') {
        return way.fault(
            format!("`{name}` is not the name of a credential"),
            "the name that stands before the colon in LoadCredential=NAME:PATH",
        );
    }
    let load = format!("LoadCredential={name}:/etc/passerelle/secrets/{name}");
    let Some(folder) = (way.context.env)("CREDENTIALS_DIRECTORY") else {
        let hint = format!(
            "systemd gives credentials to the service only: systemctl edit passerelle, [Service] {load}\n\
             to check by hand: systemd-run --pipe --wait -p {load} passerelle check"
        );
        return way.fault(format!("the credential `{name}` is not there: $CREDENTIALS_DIRECTORY is not set"), hint);
    };
    match fs::read_to_string(Path::new(&folder).join(name)) {
        Ok(text) => Some(text),
        Err(error) => way.fault(
            format!("cannot read the credential `{name}`: {error}"),
            format!("systemctl edit passerelle, [Service] {load}"),
        ),
    }
}
