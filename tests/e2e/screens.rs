//! What `passerelle check` shows to whoever made a fault, with a real database and a CRM: each file of `screens/` holds
//! mappings, a line of dashes, the exit status and the screen. A run with `PASSERELLE_RENEW=1` writes the screens anew; read
//! them as somebody would who sees them first.
//!
//! Lines `#: KEY VALUE` before the mappings are about the world: `user`, `port`, `database`, `crm` (its address) are other
//! ones than they should be, `offline` asks nobody.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use passerelle::sandbox::{Sandbox, SandboxOptions, Schema};
use passerelle_test_servers::PgServer;

const SEPARATOR: &str = "----------\n";

const SHOP: &str = "
    create type order_state as enum ('draft', 'sale', 'done', 'cancel');
    create table customer (
        id int primary key, code text not null unique, name varchar(120), email text, phone text,
        active boolean not null default true, born date, created_at timestamp not null default now(),
        seen_at timestamptz, credit numeric(10,2), score float8, points int, tags text[], doc jsonb, photo bytea, uid uuid
    );
    create table sale_order (id int primary key, customer_id int references customer, state order_state, amount numeric(12,2));
    create table order_line (order_id int, no int, qty int, sku text, primary key (order_id, no));
    create table loose (a int, b text);
    create view active_customer as select * from customer where active;
    create role reader login replication;
    grant select (id, code, name, email) on customer to reader;
    create publication passerelle_reader for table customer (id, code, name);
";

const ORG: &str = r#"{
    "Account": {"fields": {
        "Rating": {"type": "picklist", "values": ["Hot", "Warm", "Cold"]},
        "Vip__c": {"type": "boolean"},
        "Since__c": {"type": "date"},
        "Seen__c": {"type": "datetime"},
        "Points__c": {"type": "double"},
        "Shop__c": {"type": "string", "length": 20},
        "Owner_Contact__c": {"type": "reference", "to": "Contact", "relationship": "Owner_Contact__r"}
    }}
}"#;

/// What a case changes.
struct Case<'t> {
    mappings: &'t str,
    user: &'t str,
    port: Option<&'t str>,
    database: &'t str,
    crm: Option<&'t str>,
    offline: bool,
}

impl<'t> Case<'t> {
    fn read(text: &'t str) -> Self {
        let mut case =
            Self { mappings: text, user: "postgres", port: None, database: "postgres", crm: None, offline: false };
        while let Some((line, rest)) = case.mappings.split_once('\n')
            && let Some(directive) = line.strip_prefix("#: ")
        {
            match directive.split_once(' ').unwrap_or((directive, "")) {
                ("user", user) => case.user = user,
                ("port", port) => case.port = Some(port),
                ("database", database) => case.database = database,
                ("crm", url) => case.crm = Some(url),
                ("offline", _) => case.offline = true,
                (other, _) => panic!("there is no directive {other}"),
            }
            case.mappings = rest;
        }
        case
    }

    fn base(&self, port: &str, url: &str) -> String {
        // Of the reader's publication a list of columns is known, which its user may not alter.
        let (slot, columns) = match self.user {
            "reader" => ("passerelle_reader", "publish_columns = \"mapped\"\n"),
            _ => ("passerelle_erp", ""),
        };
        format!(
            "[source.erp]\nkind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"{}\"\nuser = \"{}\"\n\
             tls = \"disable\"\nslot = \"{slot}\"\npublication = \"{slot}\"\n{columns}\n[crm.sales]\nkind = \"salesforce\"\nurl = \"{}\"\n\
             auth = {{ method = \"client_credentials\", client_id = \"any\", client_secret = {{ env = \"SANDBOX_SECRET\" }} }}\n",
            self.port.unwrap_or(port),
            self.database,
            self.user,
            self.crm.unwrap_or(url)
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_are_as_in_their_files() {
    let server = PgServer::start().unwrap();
    server.psql("postgres", SHOP).unwrap();
    let mut schema = Schema::standard();
    schema.declare(ORG).unwrap();
    let crm = Sandbox::start(SandboxOptions { schema: Some(schema), ..SandboxOptions::default() }).await.unwrap();
    let (port, url) = (server.port().to_string(), crm.handle().url().to_owned());
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    let renew = std::env::var_os("PASSERELLE_RENEW").is_some();
    let screens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/screens");
    let mut paths: Vec<_> = std::fs::read_dir(&screens).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 15, "{} cases in {}", paths.len(), screens.display());
    let mut different = String::new();
    for path in paths {
        let file = std::fs::read_to_string(&path).unwrap();
        let (text, expect) = file.split_once(SEPARATOR).unwrap_or((&file, ""));
        let case = Case::read(text);
        std::fs::write(conf.join("base.toml"), case.base(&port, &url)).unwrap();
        std::fs::write(conf.join("shop.toml"), case.mappings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_passerelle"));
        command.args(["--config", "conf", "check"]).args((!case.offline).then_some("--online"));
        let done = command.current_dir(folder.path()).env("SANDBOX_SECRET", "any").output().unwrap();
        let printed = [done.stderr, done.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(!printed.contains('\u{1b}'), "colours without a terminal: {printed}");
        let screen = printed.replace(&url, "https://acme.my.salesforce.com").replace(&port, "5432");
        let actual = format!("exit {}\n\n{screen}", done.status.code().unwrap_or(-1));
        if renew {
            std::fs::write(&path, format!("{text}{SEPARATOR}{actual}")).unwrap();
        } else if actual != expect {
            write!(different, "=== {}\n--- expected\n{expect}--- actual\n{actual}", path.display()).unwrap();
        }
        assert_eq!(done.status.code(), Some(78), "{}: {actual}", path.display());
    }
    assert!(different.is_empty(), "{different}");
}
