//! No expression over no row makes the evaluator panic, loop or allocate without bound. The input: an expression, then
//! the cells of the table's columns, with a byte 0 between; an empty cell is null, one that is missing is absent.
#![no_main]

mod table;

use passerelle::mapping::Expression;
use passerelle_change::CellsBuf;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0);
    let Some(Ok(text)) = parts.next().map(str::from_utf8) else { return };
    let columns = table::columns();
    let Ok(compiled) = Expression::compile(text, &columns, "Europe/Paris") else { return };
    let mut row = CellsBuf::new();
    for (column, cell) in columns.iter().zip(parts) {
        row.push(column.id, Some(cell).filter(|cell| !cell.is_empty()));
    }
    let value = compiled.field(row.as_cells());
    // Evaluation is a function of the row.
    assert_eq!(compiled.field(row.as_cells()), value);
});
