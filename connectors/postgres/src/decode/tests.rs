use passerelle_change::{KnownName, TableId, TableName, key};
use proptest::prelude::*;

use super::*;

/// A table `public.t` (id integer, name text, long text) with oid 5, of which `id` is the key and all is mapped.
fn decoder() -> Decoder {
    Decoder::new(vec![wanted(&["id", "name", "long"])], HashMap::new(), Arc::default())
}

/// `public.t` with these columns mapped and the key `id`.
fn wanted(columns: &[&str]) -> WantedTable {
    let name = TableName { schema: "public".into(), name: "t".into() };
    WantedTable::new(TableId(1), name, columns.iter().map(ToString::to_string).collect(), vec!["id".into()])
}

fn begin() -> Vec<u8> {
    [&b"B"[..], &7_u64.to_be_bytes(), &0_u64.to_be_bytes(), &1_u32.to_be_bytes()].concat()
}

fn commit(end: u64) -> Vec<u8> {
    [&b"C\0"[..], &7_u64.to_be_bytes(), &end.to_be_bytes(), &0_u64.to_be_bytes()].concat()
}

fn relation(table: &str, identity: u8) -> Vec<u8> {
    let mut bytes = [&b"R\0\0\0\x05public\0"[..], table.as_bytes(), &[0, identity, 0, 3]].concat();
    for (name, oid) in [("id", 23_u32), ("name", 25), ("long", 25)] {
        bytes.push(u8::from(identity == b'f' || name == "id"));
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&oid.to_be_bytes());
        bytes.extend_from_slice(&[0xff; 4]);
    }
    bytes
}

/// `I`, `U` or `D` with tuples as `K 1 - -`, `N 1 a ~`: `-` is null, `~` unchanged.
fn row(tag: u8, tuples: &[&str]) -> Vec<u8> {
    let mut bytes = vec![tag, 0, 0, 0, 5];
    for tuple in tuples {
        let mut words = tuple.split(' ');
        bytes.extend_from_slice(words.next().unwrap().as_bytes());
        let values: Vec<_> = words.collect();
        bytes.extend_from_slice(&(values.len() as u16).to_be_bytes());
        for value in values {
            match value {
                "-" => bytes.push(b'n'),
                "~" => bytes.push(b'u'),
                text => {
                    bytes.push(b't');
                    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
    }
    bytes
}

fn print(batch: &Batch) -> String {
    let cell = |row: &RowChange, id| match batch.cells(row).get(passerelle_change::ColumnId(id)) {
        None => "absent".to_owned(),
        Some(None) => "null".to_owned(),
        Some(Some(text)) => String::from_utf8_lossy(text).into_owned(),
    };
    let line = |event: &Event| match event {
        Event::Begin { transaction, .. } => format!("begin {transaction}"),
        Event::End { position, .. } => format!("end {position}"),
        Event::Schema { schema, .. } => format!("schema {}", schema.columns.len()),
        Event::Truncate(table) => format!("truncate {}", table.0),
        Event::Idle { position } => format!("idle {position}"),
        Event::Row(row) => {
            let was = row.old_key.map(|old| format!(" was {}", key::printed(batch.bytes(old)))).unwrap_or_default();
            let cells = [1, 2, 3].map(|id| cell(row, id)).join(" ");
            format!("{:?} {}{was}: {cells}", row.op, key::printed(batch.bytes(row.key)))
        }
        Event::Suspect { key: None, why, .. } => format!("suspect: {why}"),
        other => panic!("{other:?}"),
    };
    batch.events().iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Decodes messages inside a transaction that has begun and was described; prints what follows the schema.
fn check(identity: u8, messages: &[Vec<u8>], want: &str) {
    let (mut decoder, mut batch) = (decoder(), Batch::new());
    let mut decode = || -> Result<(), Error> {
        decoder.message(&begin(), &mut batch)?;
        decoder.message(&relation("t", identity), &mut batch)?;
        messages.iter().try_for_each(|message| decoder.message(message, &mut batch))
    };
    let got = match decode() {
        Ok(()) => print(&batch),
        Err(error) => error.to_string(),
    };
    assert_eq!(got.strip_prefix("begin 7; schema 3; ").unwrap_or(&got), want);
}

#[test]
fn a_description_lies_behind_what_was_committed_before_its_transaction() {
    let (mut decoder, mut batch) = (decoder(), Batch::new());
    decoder.message(&begin(), &mut batch).unwrap();
    decoder.message(&relation("t", b'd'), &mut batch).unwrap();
    let behind = batch.events().iter().find_map(|event| match event {
        Event::Schema { behind, .. } => behind.clone(),
        _ => None,
    });
    assert_eq!(behind, Some(Lsn(7).position()));
}

#[test]
fn inserts_updates_and_deletes() {
    check(b'd', &[row(b'I', &["N 1 a -"]), commit(9)], "Full 1: 1 a null; end 0/9");
    check(b'd', &[row(b'U', &["N 1 b c"])], "Full 1: 1 b c");
    check(b'd', &[row(b'D', &["K 1 - -"])], "Gone 1: absent absent absent");
}

#[test]
fn pg_14_pg_15_unchanged_values_are_absent() {
    check(b'd', &[row(b'U', &["N 1 b ~"])], "Partial 1: 1 b absent");
    check(b'd', &[row(b'U', &["K 1 - -", "N 2 b ~"])], "Partial 2 was 1: 2 b absent");
}

#[test]
fn pg_16_unchanged_values_are_in_the_full_row_before() {
    check(b'f', &[row(b'U', &["O 1 a long", "N 1 b ~"])], "Full 1: 1 b long");
    check(b'f', &[row(b'U', &["O 1 a -", "N 2 b ~"])], "Full 2 was 1: 2 b null");
    check(b'f', &[row(b'U', &["O 1 a ~", "N 1 b ~"])], "Partial 1: 1 b absent");
    check(b'f', &[row(b'D', &["O 1 a long"])], "Gone 1: absent absent absent");
}

#[test]
fn a_key_that_is_unchanged_and_not_sent_is_in_the_row_before() {
    check(b'd', &[row(b'U', &["K 1 - -", "N ~ b c"])], "Partial 1: absent b c");
    // What cannot be told of one row holds up no other.
    let without = "suspect: a row came without a value for its key; Full 1: 1 a b";
    check(b'd', &[row(b'U', &["N ~ b c"]), row(b'U', &["N - b c"]), row(b'I', &["N 1 a b"])], without);
    check(b'd', &[row(b'D', &["K - - -"]), row(b'I', &["N 1 a b"])], without);
}

#[test]
fn a_row_without_a_wanted_column_is_partial() {
    for (column, op) in [("long", Op::Full), ("mapped_since", Op::Partial)] {
        let mut decoder = Decoder::new(vec![wanted(&["id", "name", column])], HashMap::new(), Arc::default());
        let mut batch = Batch::new();
        for message in [begin(), relation("t", b'd'), row(b'I', &["N 1 a b"])] {
            decoder.message(&message, &mut batch).unwrap();
        }
        let Some(Event::Row(row)) = batch.events().last() else { panic!("no row") };
        assert_eq!(row.op, op, "with {column} mapped");
    }
}

#[test]
fn transactions_without_anything_for_us_produce_nothing() {
    let (mut decoder, mut batch) = (decoder(), Batch::new());
    for message in [begin(), relation("other", b'd'), row(b'I', &["N 1 a b"]), commit(9)] {
        decoder.message(&message, &mut batch).unwrap();
    }
    assert!(batch.is_empty());
    assert_eq!((decoder.open_transaction(), decoder.take_quiet(), decoder.take_quiet()), (None, Some(Lsn(9)), None));
}

#[test]
fn pg_19_a_table_is_told_once() {
    let again = [relation("t", b'd'), row(b'I', &["N 1 a b"]), relation("t", b'f'), row(b'I', &["N 2 a b"])];
    check(b'd', &again, "Full 1: 1 a b; Full 2: 2 a b");
}

#[test]
fn pg_25_truncates_of_wanted_tables() {
    let truncate = [&b"T\0\0\0\x01\0"[..], &5_u32.to_be_bytes()].concat();
    check(b'd', std::slice::from_ref(&truncate), "truncate 1");
    check(b'd', &[relation("other", b'd'), truncate], "begin 7; schema 3");
}

#[test]
fn a_renamed_table_is_wanted_no_more() {
    check(b'd', &[relation("t_old", b'd'), row(b'I', &["N 1 a b"])], "begin 7; schema 3");
}

#[test]
fn what_stands_in_the_wrong_place_is_refused() {
    let wrong = |messages: &[Vec<u8>]| {
        let (mut decoder, mut batch) = (decoder(), Batch::new());
        messages.iter().try_for_each(|message| decoder.message(message, &mut batch)).unwrap_err().to_string()
    };
    let ends = |text: String, end: &str| assert!(text.ends_with(end), "{text}");
    ends(wrong(&[commit(1)]), "a commit outside a transaction");
    ends(wrong(&[begin(), begin()]), "a transaction inside a transaction");
    ends(wrong(&[begin(), row(b'I', &["N 1 a b"])]), "a row of a table that was not described");
    ends(wrong(&[relation("t", b'd')]), "a change outside a transaction");
    ends(
        wrong(&[begin(), relation("t", b'd'), row(b'I', &["N 1 a"])]),
        "a row with another number of columns than its table",
    );
}

/// `R` of `public.t` with columns as `id:23* name:25`; `*` is of the identity.
fn described(columns: &str) -> Vec<u8> {
    let columns: Vec<_> = columns.split(' ').collect();
    let mut bytes = [&b"R\0\0\0\x05public\0t\0d"[..], &(columns.len() as u16).to_be_bytes()].concat();
    for column in columns {
        bytes.push(u8::from(column.ends_with('*')));
        let (name, oid) = column.trim_end_matches('*').split_once(':').unwrap();
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&oid.parse::<u32>().unwrap().to_be_bytes());
        bytes.extend_from_slice(&[0xff; 4]);
    }
    bytes
}

/// Decodes messages in a transaction by a decoder; prints schemas with their names.
fn decode(decoder: &mut Decoder, messages: &[Vec<u8>]) -> String {
    let mut batch = Batch::new();
    for message in messages {
        decoder.message(message, &mut batch).unwrap();
    }
    let names = |schema: &TableSchema| {
        let columns: Vec<_> =
            schema.columns.iter().map(|column| format!("{} {}", column.name, column.type_name)).collect();
        format!("schema {} by {}", columns.join(", "), schema.key.join(","))
    };
    let mut schemas = batch.events().iter().filter_map(|event| match event {
        Event::Schema { schema, .. } => Some(names(schema)),
        _ => None,
    });
    let lines = print(&batch);
    let named =
        lines.split("; ").map(|line| if line.starts_with("schema ") { schemas.next().unwrap() } else { line.into() });
    named.collect::<Vec<_>>().join("; ")
}

/// Of `public.t (id integer, name text, n integer)`, of which `name` is mapped.
fn known() -> WantedTable {
    let known = [("id", "integer"), ("name", "text"), ("n", "integer")];
    let known = known.map(|(name, ty)| KnownName { name: name.into(), type_name: ty.into() });
    WantedTable { known: known.into(), ..wanted(&["id", "name"]) }
}

#[test]
fn pg_18_a_key_outside_the_identity_holds_the_table_and_no_other() {
    let mut other = wanted(&["id"]);
    (other.table, other.name.name) = (TableId(2), "u".into());
    let mut decoder = Decoder::new(vec![known(), other], HashMap::new(), Arc::default());
    let of_u = |mut bytes: Vec<u8>| {
        bytes[4] = 6;
        bytes
    };
    let mut relation = of_u(described("id:23*"));
    let at = relation.windows(3).position(|bytes| bytes == b"\0t\0").unwrap();
    relation[at + 1] = b'u';
    let unflagged = [
        begin(),
        described("id:23 name:25* n:23"),
        row(b'I', &["N 1 a 5"]),
        row(b'D', &["K 1 - -"]),
        relation,
        of_u(row(b'I', &["N 7"])),
        commit(9),
    ];
    let no_key = "suspect: a column of the row key is not in the table";
    let want = format!("begin 7; {no_key}; schema id integer by id; Full 7: 7 absent absent; end 0/9");
    assert_eq!(decode(&mut decoder, &unflagged), want);
    // Each transaction that touches it says so, once; a truncation needs no key.
    let truncate = [&b"T\0\0\0\x01\0"[..], &5_u32.to_be_bytes()].concat();
    let again = [begin(), row(b'I', &["N 1 a 5"]), row(b'I', &["N 2 a 5"]), truncate, commit(10)];
    assert_eq!(decode(&mut decoder, &again), format!("begin 7; {no_key}; truncate 1; end 0/A"));
    // It is followed again as soon as it can be.
    let mended = [begin(), described("id:23* name:25 n:23"), row(b'I', &["N 1 a 5"]), commit(11)];
    let ended = decode(&mut decoder, &mended);
    assert!(ended.starts_with("begin 7; schema id integer, name text by id; Full 1"), "{ended}");
}

#[test]
fn pg_20_a_key_column_that_is_gone_holds_the_table() {
    let mut decoder = Decoder::new(vec![known()], HashMap::new(), Arc::default());
    let rows = [begin(), described("name:25 n:23 number:23*"), row(b'I', &["N a 5 1"]), commit(9)];
    let want = "begin 7; suspect: a column of the row key is not in the table; end 0/9";
    assert_eq!(decode(&mut decoder, &rows), want);
    let mut keyless = Decoder::new(vec![WantedTable { key: Vec::new(), ..known() }], HashMap::new(), Arc::default());
    assert_eq!(decode(&mut keyless, &rows), want);
}

#[test]
fn pg_20_a_column_that_is_missing_leaves_what_may_have_become_of_it() {
    let mut decoder = Decoder::new(vec![known()], HashMap::new(), Arc::default());
    let rows = [
        begin(),
        described("id:23* name:25 n:23"),
        row(b'I', &["N 1 a 5"]),
        described("id:23* title:25 n:23"),
        row(b'I', &["N 2 b 6"]),
        // The schema is told before the first row under it, also where it was told before.
        described("id:23* name:25 n:23"),
        row(b'I', &["N 3 c 7"]),
        commit(9),
    ];
    let schema = "schema id integer, name text by id";
    let got = decode(&mut decoder, &rows);
    let want = format!(
        "begin 7; {schema}; Full 1: 1 a absent; schema id integer, title text by id; Partial 2: 2 absent b; {schema}; \
         Full 3: 3 c absent; end 0/9"
    );
    assert_eq!(got, want);
}

#[test]
fn pg_20_renames_that_were_accepted_are_whole_rows_in_older_and_newer_log() {
    let mut wanted = known();
    wanted.renamed.insert("name".into(), ["title".to_owned()].into());
    wanted.renamed.insert("id".into(), ["number".to_owned()].into());
    let mut decoder = Decoder::new(vec![wanted], HashMap::new(), Arc::default());
    let rows = [
        begin(),
        described("number:23* title:25 n:23"),
        row(b'U', &["K 1 - -", "N 2 b 6"]),
        described("id:23* name:25 n:23"),
        row(b'D', &["K 2 - -"]),
        commit(9),
    ];
    let want = "begin 7; schema number integer, title text by number; Full 2 was 1: 2 b absent; \
                schema id integer, name text by id; Gone 2: absent absent absent; end 0/9";
    assert_eq!(decode(&mut decoder, &rows), want);
}

#[test]
fn pg_20_a_renamed_key_still_tells_the_rows() {
    let mut decoder = Decoder::new(vec![known()], HashMap::new(), Arc::default());
    let rows = [begin(), described("number:23* name:25 n:23"), row(b'D', &["K 4 - -"]), commit(9)];
    let want = "begin 7; schema number integer, name text by number; Gone 4: absent absent absent; end 0/9";
    assert_eq!(decode(&mut decoder, &rows), want);
    // One that is not of the identity would not be told with deletes.
    let mut decoder = Decoder::new(vec![known()], HashMap::new(), Arc::default());
    let rows = [begin(), described("number:23 name:25 n:23"), row(b'I', &["N 4 a 5"]), commit(9)];
    assert!(decode(&mut decoder, &rows).contains("suspect: a column of the row key"));
}

#[test]
fn pg_24_a_type_that_only_the_log_has_named_is_asked_for() {
    let mut decoder = Decoder::new(vec![wanted(&["id", "c"])], HashMap::new(), Arc::default());
    let named = |name: &str| [&b"Y"[..], &16_400_u32.to_be_bytes(), b"\0", name.as_bytes(), b"\0"].concat();
    let describe = [described("id:23* c:16400")];
    // A domain has its base's name.
    assert_eq!(decode(&mut decoder, &[begin(), named("numeric")]), "");
    assert_eq!(decoder.unknown_types().collect::<Vec<_>>(), [16_400]);
    let kind = DynamicKind::Domain { base: 1700, typmod: -1, dynamic: None };
    let price = DynamicType { schema: "other".into(), name: "price".into(), kind };
    decoder.know_types(HashMap::from([(16_400, price)]));
    assert_eq!(decode(&mut decoder, &describe), "begin 7; schema id integer, c other.price by id");
    // What is known is asked for no more.
    assert_eq!(decode(&mut decoder, &[named("numeric")]), "");
    assert_eq!(decoder.unknown_types().count(), 0);

    // A type that has another name in the log is asked for once, whatever the answer; the same description of a table
    // means something else then.
    let kind = DynamicKind::Other;
    let mood = |name: &str| DynamicType { schema: "pg_catalog".into(), name: name.into(), kind: kind.clone() };
    decoder.know_types(HashMap::from([(16_400, mood("mood"))]));
    assert_eq!(decode(&mut decoder, &describe), "schema id integer, c pg_catalog.mood by id");
    assert_eq!(decode(&mut decoder, &[named("humour")]), "");
    assert_eq!(decoder.unknown_types().collect::<Vec<_>>(), [16_400]);
    decoder.know_types(HashMap::from([(16_400, mood("temper"))]));
    let again = [named("humour"), describe[0].clone(), describe[0].clone()];
    assert_eq!(decode(&mut decoder, &again), "schema id integer, c pg_catalog.temper by id");
    assert_eq!(decoder.unknown_types().count(), 0);
}

#[test]
fn bytes_that_are_no_text_are_passed_on() {
    let mut bytes = row(b'I', &["N 1 ?? -"]);
    let at = bytes.windows(2).position(|pair| pair == b"??").unwrap();
    bytes[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
    let (mut decoder, mut batch) = (decoder(), Batch::new());
    for message in [begin(), relation("t", b'd'), bytes] {
        decoder.message(&message, &mut batch).unwrap();
    }
    let Some(Event::Row(row)) = batch.events().last() else { panic!("no row") };
    assert_eq!(batch.cells(row).get(passerelle_change::ColumnId(2)), Some(Some(&[0xff, 0xfe][..])));
}

proptest! {
    #[test]
    fn any_messages_end_without_panic(
        messages in proptest::collection::vec((proptest::sample::select(b"BCORYIUDTM".to_vec()), any::<Vec<u8>>()), 0..20),
    ) {
        let (mut decoder, mut batch) = (decoder(), Batch::new());
        for message in [begin(), relation("t", b'd')] {
            decoder.message(&message, &mut batch).unwrap();
        }
        for (tag, rest) in messages {
            // Rows are of the known table every other time.
            let table: &[u8] = if rest.len() % 2 == 0 { &[0, 0, 0, 5] } else { &[] };
            let _ = decoder.message(&[&[tag], table, &rest].concat(), &mut batch);
        }
    }
}
