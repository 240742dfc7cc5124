//! Screens of faults, compared with `golden/`: each file holds a configuration, a line of dashes, and what is shown.
//! A second file of the configuration starts at a line `==== NAME`. [`BASE`] is always there as `base.toml`.
//!
//! A run with `PASSERELLE_RENEW=1` writes the screens anew; read them as somebody would who sees them first.

mod documentation;
mod schema;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use passerelle_change::FieldValue;
use secrecy::ExposeSecret;

use super::model::{
    AlertKind, Auth, Canary, ChannelKind, Check, Delivery, Departure, FieldSource, Flavor, MailTls, MapOther, Missing,
    Mysql, OnBad, OnKeyChange, Postgres, PublishColumns, Related, RelatedForm, Severity, SourceKind, Standard,
    Tinyint1, Tls, WebhookFormat, ZeroDates,
};
use super::{Fault, Faults, Files, Loaded, example, load, parse};

const BASE: &str = r#"[source.erp]
kind = "postgres"
host = "10.0.4.11"
database = "odoo"
user = "passerelle"
password = { env = "ERP_PASSWORD" }

[crm.sales]
kind = "salesforce"
url = "https://acme.my.salesforce.com"
auth = { method = "token", token = { env = "SF_TOKEN" } }

[mapping.accounts]
source = "erp"
table = "public.res_partner"
crm = "sales"
object = "Account"
key = { field = "Erp_Id__c", value = "id" }

[mapping.accounts.fields]
Name = "name"
"#;

const SEPARATOR: &str = "----------\n";

fn env(name: &str) -> Option<String> {
    match name {
        "ERP_PASSWORD" => Some("correct horse".to_owned()),
        "SF_TOKEN" => Some("battery staple\n".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// Parses a text, in which `==== NAME` starts a second file, beside the base.
fn parse_case(text: &str) -> Result<Loaded, Faults> {
    let mut files = Files::default();
    files.add(Path::new("base.toml"), BASE.to_owned());
    let mut name = "conf.toml".to_owned();
    let mut body = String::new();
    for line in text.lines() {
        if let Some(next) = line.strip_prefix("==== ") {
            files.add(Path::new(&name), std::mem::take(&mut body));
            next.clone_into(&mut name);
        } else {
            writeln!(body, "{line}").unwrap();
        }
    }
    files.add(Path::new(&name), body);
    parse(files, &env, true)
}

/// What `passerelle check` shows, which compiles the expressions as well.
fn screen(text: &str) -> String {
    let loaded = match parse_case(text) {
        Ok(loaded) => loaded,
        Err(faults) => return faults.render(false),
    };
    let mappings = loaded.config.mappings.values();
    let found = mappings.flat_map(|mapping| crate::mapping::faults_without_types(mapping, "UTC"));
    let found: Vec<Fault> = found.map(|fault| fault.shown(&loaded.files)).collect();
    Faults::new([loaded.warnings, found].concat(), loaded.files).render(false)
}

#[test]
fn screens_are_as_in_golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/golden");
    let write = std::env::var_os("PASSERELLE_RENEW").is_some();
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 60, "{} cases in {}", paths.len(), folder.display());
    let mut different = String::new();
    for path in paths {
        let case = std::fs::read_to_string(&path).unwrap();
        let (text, expect) = case.split_once(SEPARATOR).unwrap_or((&case, ""));
        let actual = screen(text);
        assert!(!actual.contains("hunter2"), "a secret is shown: {actual}");
        assert!(!actual.is_empty(), "no fault in {}", path.display());
        // What is to be copied is not broken, and may be longer.
        let long = actual
            .lines()
            .filter(|line| !line.contains(['`', '"', '{', '[', '/']))
            .find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "wider than 80 columns in {}", path.display());
        if write {
            std::fs::write(&path, format!("{text}{SEPARATOR}{actual}")).unwrap();
        } else if actual != expect {
            write!(different, "=== {}\n--- expected\n{expect}--- actual\n{actual}", path.display()).unwrap();
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn defaults_are_filled_in() {
    let loaded = parse_case("").unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.daemon.state_dir, Path::new("/var/lib/passerelle"));
    assert_eq!(config.daemon.disk_budget_bytes, 20 << 30);
    let source = &config.sources["erp"];
    assert_eq!((source.port, source.tls, source.time_zone.as_str()), (5432, Tls::VerifyFull, "UTC"));
    let (slot, publication) = ("passerelle_erp".to_owned(), "passerelle_erp".to_owned());
    assert_eq!(source.kind, SourceKind::Postgres(Postgres { slot, publication, publish_columns: PublishColumns::All }));
    assert_eq!(source.password.as_ref().unwrap().expose_secret(), "correct horse");
    let crm = &config.crms["sales"];
    assert_eq!((crm.limits.concurrent, crm.limits.per_day), (Some(8), None));
    let Auth::Token { token } = &crm.auth else { panic!("{:?}", crm.auth) };
    assert_eq!(token.expose_secret(), "battery staple", "one newline is cut");
    let mapping = &config.mappings["accounts"];
    assert_eq!((mapping.on_delete.clone(), mapping.on_leave.clone()), (Departure::Delete, Departure::Ignore));
    assert_eq!((mapping.guard.share, mapping.guard.count, mapping.guard.within), (0.01, 50, Duration::from_hours(1)));
    assert_eq!((mapping.delivery.clone(), mapping.freshness), (Delivery::Realtime, Duration::from_mins(1)));
    assert_eq!(loaded.files.locate(&mapping.place), "base.toml:13:1");
}

#[test]
fn every_key_is_read() {
    let loaded = parse_case(include_str!("every_key.toml")).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.daemon.http.unwrap().port(), 9187);
    let source = &config.sources["shop"];
    let SourceKind::Postgres(postgres) = &source.kind else { panic!("{:?}", source.kind) };
    assert_eq!(
        (source.host.as_str(), source.tls, postgres.slot.as_str()),
        ("/run/postgresql", Tls::Disable, "shop_slot")
    );
    let source = &config.sources["web"];
    assert_eq!((source.host.as_str(), source.port, source.tls), ("/run/mysqld/mysqld.sock", 3306, Tls::Disable));
    let (flavor, server_id) = (Flavor::Mariadb, Some(4001));
    let settings = Mysql { flavor, server_id, zero_dates: ZeroDates::DeadLetter, tinyint1: Tinyint1::Int };
    assert_eq!(source.kind, SourceKind::Mysql(settings));
    let table = |mapping: &str| config.mappings[mapping].table.to_string();
    assert_eq!([table("visitors"), table("terms")], ["web.wp_users", "other.wp_terms"]);
    let crm = &config.crms["west"];
    assert_eq!(
        (crm.url.as_str(), crm.limits.per_second, crm.limits.per_day),
        ("https://west.my.salesforce.com", Some(25), Some(80_000))
    );
    assert!((crm.limits.reserve - 0.1).abs() < 1e-9);
    let mapping = &config.mappings["orders"];
    assert_eq!((mapping.table.schema.as_str(), mapping.table.name.as_str()), ("public", "ps_order"));
    assert_eq!(mapping.delivery, Delivery::Every(Duration::from_hours(1)));
    assert_eq!(mapping.on_delete, Departure::Set(vec![("Active__c".into(), FieldValue::Bool(false))]));
    let names: Vec<_> = mapping.fields.iter().map(|field| field.name.as_ref()).collect();
    assert_eq!(
        names,
        ["Status", "Vat__c", "Ref__c", "Shop__r", "Account", "Owner", "Type", "Amount", "Code__c"],
        "in the order written"
    );
    let status = mapping.fields[0].map.as_ref().unwrap();
    assert_eq!(
        (status.entries["1"].clone(), status.other.clone()),
        (FieldValue::Text("Activated".into()), MapOther::Keep)
    );
    let field = |name: &str| mapping.fields.iter().find(|field| &*field.name == name).unwrap();
    assert!(field("Account").required);
    let FieldSource::Reference { mappings, value } = &field("Account").value else { panic!() };
    assert_eq!(
        (mappings.join(" "), value.as_ref().map(|value| value.text.as_str())),
        ("customers orders".to_owned(), Some("customer_id"))
    );
    let FieldSource::Unkept { object, by, value } = &field("Owner").value else { panic!() };
    assert_eq!((&**object, &**by, value.text.as_str()), ("User", "Email", "seller"));
    assert!(field("Type").create_only);
    assert_eq!(field("Amount").on_bad, OnBad::Null);
    assert_eq!(field("Status").on_create, Some(FieldValue::Text("Draft".into())));
    assert_eq!(field("Status").when.as_ref().unwrap().text, "customer_id > 0");
    assert_eq!(field("Vat__c").check, Some(Check::Vat));
    assert!(field("Vat__c").enforce && !field("Ref__c").enforce);
    assert!(field("Amount").urgent && !field("Vat__c").urgent);
    assert_eq!(mapping.on_key_change, OnKeyChange::Recreate);
    assert_eq!(field("Ref__c").check, Some(Check::Pattern("[A-Z]{2}[0-9]+".into())));
    assert_eq!(
        (field("Shop__r").missing, field("Account").missing),
        (Missing::Wait(Duration::from_mins(90)), Missing::Omit)
    );
}

#[test]
fn alerts_are_read() {
    let config = parse_case(include_str!("every_key.toml")).unwrap().config;
    let (alerts, minutes) = (&config.alerts, Duration::from_mins);
    assert_eq!((alerts.lag, alerts.crm_down, alerts.quiet), (minutes(5), minutes(10), minutes(1)));
    assert!((alerts.dead_letters - 0.005).abs() < 1e-9 && (alerts.disk_budget - 0.8).abs() < 1e-9);
    let ops = &config.channels["ops"];
    let ChannelKind::Webhook(webhook) = &ops.kind else { panic!("{:?}", ops.kind) };
    assert_eq!(webhook.url.expose_secret(), "https://hooks.example/T0/B0?x=1");
    assert_eq!((webhook.format, webhook.secret.is_some()), (WebhookFormat::Slack, true));
    assert_eq!((ops.on.len(), ops.severity, ops.timeout), (12, Severity::Critical, Duration::from_secs(5)));
    assert!(ops.is_of("visitors", "web") && !ops.tells(AlertKind::Lag, Severity::Warning));
    let page = &config.channels["page"];
    assert!(matches!(&page.kind, ChannelKind::Command { argv } if argv.len() == 3));
    assert!(page.is_of("orders", "shop") && !page.is_of("customers", "shop"));
    assert!(page.tells(AlertKind::Lag, Severity::Warning), "all kinds, where none is named");
    let email = |name: &str| match &config.channels[name].kind {
        ChannelKind::Email(email) => email.clone(),
        other => panic!("{other:?}"),
    };
    let (mail, night) = (email("mail"), email("night"));
    assert_eq!((mail.port, mail.tls, mail.to.len(), mail.to_owner), (2525, MailTls::Tls, 2, false));
    assert_eq!(mail.login.as_ref().map(|(user, _)| user.as_str()), Some("passerelle"));
    assert_eq!((night.port, night.tls, night.to_owner, night.login.is_some()), (25, MailTls::None, true, false));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hooks.example/T0"), "an address may be a secret: {shown}");
}

#[test]
fn settings_are_read() {
    let config = parse_case(include_str!("every_key.toml")).unwrap().config;
    let orders = &config.mappings["orders"];
    assert_eq!((orders.quiet, orders.observe), (Some(Duration::from_mins(10)), true));
    let only = Some(vec!["17".to_owned(), "42,FR".to_owned()]);
    assert_eq!(orders.canary, Canary { limit: Some(100), only });
    assert_eq!(
        (orders.owner.as_deref(), orders.purpose.as_deref()),
        (Some("crm-team@acme.example"), Some("customer relationship"))
    );
    let standard = Standard {
        country: Some("FR".into()),
        date: Some("DD/MM/YYYY".into()),
        empty_is_null: true,
        lookups: orders.standard.lookups.clone(),
    };
    assert_eq!(*orders.standard, standard);
    let lookup = &standard.lookups["terms"];
    assert_eq!(
        (&*lookup.columns, lookup.entries["NET30"].as_slice()),
        (&["value".to_owned()][..], &["30 days".to_owned()][..])
    );
    assert_eq!(standard.lookups["days"].entries["net30"], ["30"]);
    let customers = &config.mappings["customers"];
    assert_eq!(customers.delivery, Delivery::Cron("30 6 * * MON-FRI Europe/Paris".into()), "in the source's zone");
    assert_eq!(customers.freshness, Duration::from_hours(72) + Duration::from_mins(1), "over a week-end");
    assert_eq!(customers.table.name, "ps_customer");
    let crm = &config.crms["west"];
    assert_eq!(
        (crm.expect_org.as_deref(), crm.proxy.as_deref(), crm.ca.as_ref()),
        (Some("00D5g000004Xyz1EAC"), Some("http://proxy.example:3128"), None)
    );
}

#[test]
fn relations_are_read() {
    let loaded = parse_case(include_str!("every_key.toml")).unwrap();
    let with = &loaded.config.mappings["visitors"].with;
    let names: Vec<&str> = with.iter().map(|related| &*related.name).collect();
    assert_eq!(names, ["meta", "orders", "bill"], "in the order written");
    let tables = |related: &Related| related.tables.iter().map(ToString::to_string).collect::<Vec<_>>();
    let [meta, orders, bill] = &with[..] else { panic!() };
    assert_eq!(tables(meta), ["web.wp_usermeta", "web.wp_othermeta"], "with the source's prefix");
    assert_eq!(
        (tables(bill), tables(&bill.with[0])),
        (vec!["shop2.wp_address".to_owned()], vec!["web.wp_country".to_owned()])
    );
    let RelatedForm::Pivot { name, value, only: Some(only), pick: Some(pick) } = &meta.form else { panic!() };
    assert_eq!([name, value, pick].map(|expr| expr.text.as_str()), ["meta_key", "meta_value", "umeta_id"]);
    assert_eq!(only[0].name, "phone");
    assert_eq!(orders.filter.as_ref().unwrap().text, "total > 0");
    let RelatedForm::Rollup(figures) = &orders.form else { panic!() };
    let figures: Vec<_> = figures.iter().map(|(name, expr)| (&**name, expr.text.as_str())).collect();
    assert_eq!(figures, [("last", "last(number, by = created_at)"), ("n", "count()")]);
    assert!(matches!(&bill.form, RelatedForm::One { pick: Some(_) }));
    for (left, right) in with.iter().flat_map(|related| &related.on) {
        for expr in [left, right] {
            assert_eq!(&loaded.files.text(expr.place.file)[expr.place.span.clone()], expr.text);
        }
    }
}

#[test]
fn an_expression_knows_its_text_in_the_file() {
    let loaded = parse_case(include_str!("every_key.toml")).unwrap();
    let mut checked = 0;
    for field in loaded.config.mappings.values().flat_map(|mapping| &mapping.fields) {
        if let Some(expr) = field.value.expr() {
            let raw = &loaded.files.text(expr.place.file)[expr.place.span.clone()];
            assert_eq!(raw, expr.text);
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked}");
}

#[test]
fn a_fault_in_an_expression_is_shown_in_its_place() {
    let conf = "[mapping.accounts2]\nsource = \"erp\"\ntable = \"t\"\ncrm = \"sales\"\nobject = \"Account\"\n\
                key = { field = \"Erp_Id__c\", value = \"id\" }\nwhere = \"a == '\\t' and emial\"\nfields = { Name = \"n\" }\n";
    let loaded = parse_case(conf).unwrap();
    let expr = loaded.config.mappings["accounts2"].filter.clone().unwrap();
    let start = expr.text.find("emial").unwrap();
    let place = loaded.files.place_in(&expr, start..start + 5);
    let fault = Fault::error("there is no column `emial`").at(&place).hint("did you mean `email`?");
    let shown = Faults::new(vec![fault], loaded.files).to_string();
    let expect = r#"error: there is no column `emial`
 --> conf.toml:7:24
  |
7 | where = "a == '\t' and emial"
  |                        ^^^^^
  |
  = help: did you mean `email`?

1 error"#;
    assert_eq!(shown, expect);
}

#[test]
fn the_example_is_good() {
    let mut files = Files::default();
    files.add(Path::new("passerelle.toml"), example().to_owned());
    let loaded = parse(files, &env, false).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings, []);
    assert!(!loaded.config.mappings.is_empty());
}

#[test]
fn no_damage_to_a_text_makes_it_panic_or_show_a_secret() {
    let text = include_str!("every_key.toml").replace("{ env = \"ERP_PASSWORD\" }", "\"hunter2\"");
    for (at, char) in text.char_indices() {
        let (before, behind) = (&text[..at], &text[at + char.len_utf8()..]);
        for case in [before.to_owned(), format!("{before}{behind}"), format!("{before}\"é{behind}")] {
            let mut files = Files::default();
            files.add(Path::new("conf.toml"), case);
            if let Err(faults) = parse(files, &env, false) {
                assert!(!faults.to_string().contains("hunter2"), "{faults}");
            }
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    let loaded = parse_case("").unwrap();
    let text = format!("{loaded:?}");
    assert!(!text.contains("correct horse") && !text.contains("battery"), "{text}");
}

#[test]
fn the_hash_follows_the_text() {
    let hash = |text: &str| parse_case(text).unwrap().config.hash;
    assert_eq!(hash(""), hash(""));
    assert_ne!(hash(""), hash("# a comment"));
    assert_eq!(hash("").len(), 32);
}

#[test]
fn a_folder_is_read_in_the_order_of_names_and_relative_paths_start_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let base = BASE
        .replace("{ env = \"ERP_PASSWORD\" }", "{ file = \"pw\" }")
        .replace("{ env = \"SF_TOKEN\" }", "{ file = \"pw\" }");
    std::fs::write(path("20-base.toml"), base).unwrap();
    std::fs::write(path("10-daemon.toml"), "[daemon]\nstate_dir = \"state\"\n").unwrap();
    std::fs::write(path(".hidden.toml"), "nonsense").unwrap();
    std::fs::write(path("notes.txt"), "nonsense").unwrap();
    std::fs::write(path("pw"), "s3cret\n").unwrap();
    let loaded = load(folder.path()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((loaded.files.len(), loaded.files.name(0)), (2, path("10-daemon.toml").to_str().unwrap()));
    assert_eq!(loaded.config.daemon.state_dir, path("state"));
    assert_eq!(loaded.config.sources["erp"].password.as_ref().unwrap().expose_secret(), "s3cret");
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |path: &Path| load(path).unwrap_err().to_string();
    assert!(shown(folder.path()).contains("there is no *.toml"));
    assert!(shown(&folder.path().join("missing.toml")).contains("No such file"));
    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"[daemon]\n# caf\xe9\n").unwrap();
    assert!(shown(&path).contains("line 2 is not UTF-8"), "{}", shown(&path));
}

#[test]
fn an_enforced_field_is_written_by_one_mapping_and_left_to_nobody() {
    let shown = |field: &str| {
        screen(&format!(
            "[mapping.more]\nsource = \"erp\"\ntable = \"public.x\"\ncrm = \"sales\"\nobject = \"account\"\n\
             key = {{ field = \"K__c\", value = \"id\" }}\n[mapping.more.fields]\n{field}\n"
        ))
    };
    let twice = shown("City = { value = \"city\", enforce = true }");
    assert!(twice.contains("`City` cannot be enforced: [mapping.accounts] writes account, too"), "{twice}");
    for key in ["urgent", "enforce"] {
        let never = shown(&format!("City = {{ value = \"city\", authority = \"create_only\", {key} = true }}"));
        assert!(never.contains(&format!("`{key}` contradicts")), "{never}");
    }
}
