//! Walks whole files and reads all there is in them: for tests, benches and the fuzzer.

use super::{
    Body, Event, Field, Framing, HEADER_BYTES, Header, Layout, MAGIC, Malformed, Reader, Result, RowsKind, TableMap,
    open_column,
};

/// The bytes of each event of a file of the log, its magic number included.
pub fn file_events(file: &[u8]) -> impl Iterator<Item = Result<&[u8]>> {
    let mut rest = file.strip_prefix(MAGIC).ok_or(Malformed("not a binary log"));
    std::iter::from_fn(move || match rest {
        Ok([]) => None,
        Ok(bytes) => Some(take(bytes).map(|(event, after)| {
            rest = Ok(after);
            event
        }))
        .inspect(|taken| {
            if taken.is_err() {
                rest = Ok(&[]);
            }
        }),
        Err(error) => {
            rest = Ok(&[]);
            Some(Err(error))
        }
    })
}

fn take(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let header = Header::read(&mut Reader(bytes))?;
    let size = header.size as usize;
    if size < HEADER_BYTES {
        return Err(Malformed("an event of an impossible length"));
    }
    bytes.split_at_checked(size).ok_or(Malformed("an event that ends too early"))
}

/// Reads `bytes` as a file of the log, as one event of either server, and as what is inside events. Answers how many
/// events, columns and texts were seen; never panics.
pub fn read_everything(bytes: &[u8]) -> usize {
    let mut walk = Walk { framing: Framing::new(), layouts: Vec::new(), seen: 0 };
    for event in file_events(bytes).map_while(Result::ok) {
        walk.event(event);
    }
    // A body alone, as every type: the fuzzer need not find the frame first.
    let Some((&kind, body)) = bytes.split_first() else { return walk.seen };
    for is_mariadb in [false, true] {
        let mut walk = Walk { framing: Framing { is_mariadb, ..Framing::new() }, layouts: Vec::new(), seen: 0 };
        let header = Header { timestamp: 0, kind, server_id: 0, size: 0, end: 0, flags: 0 };
        if let Ok(body) = walk.framing.body(kind, body) {
            walk.read(&Event { header, body });
        }
    }
    walk.seen
}

struct Walk {
    framing: Framing,
    layouts: Vec<Layout>,
    seen: usize,
}

impl Walk {
    fn event(&mut self, bytes: &[u8]) {
        if let Ok(event) = self.framing.event(bytes) {
            self.read(&event);
        }
    }

    fn read(&mut self, event: &Event<'_>) {
        self.seen += 1;
        let mut buffer = Vec::new();
        match event.body {
            Body::Query(query) => self.seen += query.text.open(&mut buffer).map_or(0, <[u8]>::len),
            Body::Table(table) => self.table(&table),
            Body::Rows(rows) => {
                let Ok(data) = rows.data.open(&mut buffer) else { return };
                let (mut before, mut after) = (Vec::new(), Vec::new());
                let mut inflated = Vec::new();
                let mut images = rows.images(data);
                // Without a table map, rows of nothing but integers.
                let made_up = vec![Layout::Int(4); rows.width.min(100)];
                let layouts = if self.layouts.is_empty() { &made_up } else { &self.layouts };
                while let Ok(true) = images.next(layouts, &mut before, &mut after) {
                    let fields = if rows.kind == RowsKind::Delete { &before } else { &after };
                    for field in fields {
                        if let Field::Value { start, end } | Field::Diff { start, end } = *field {
                            let value = images.bytes(start, end);
                            self.seen += open_column(value, &mut inflated).map_or(0, <[u8]>::len).min(1);
                        }
                    }
                }
            }
            Body::Payload(payload) => {
                let Ok(mut events) = payload.open() else { return };
                while let Ok(true) = events.next(&mut buffer) {
                    if let Ok(event) = self.framing.inner(&buffer)
                        && !matches!(event.body, Body::Payload(_))
                    {
                        self.read(&event);
                    }
                }
            }
            Body::PreviousGtids(previous) => {
                let mut count = 0;
                let _ = previous.each(|_| count += 1);
                self.seen += count;
            }
            Body::GtidList(list) => self.seen += list.iter().count(),
            _ => {}
        }
    }

    fn table(&mut self, table: &TableMap<'_>) {
        let Ok(layouts) = table.layouts() else { return };
        if let Ok(metadata) = table.metadata(&layouts, self.framing.is_mariadb()) {
            let labels = [metadata.enum_labels, metadata.set_labels];
            let labels = labels.into_iter().flatten().flatten().flatten();
            self.seen += labels.map(|labels| labels.iter().count()).sum::<usize>();
        }
        self.layouts = layouts;
    }
}
