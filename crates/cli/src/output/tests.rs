//! Columns.

use super::{Align, counted, table};

#[test]
fn columns_are_as_wide_as_their_widest_cell() {
    let head = [
        ("NAME", Align::Left),
        ("N", Align::Right),
        ("WHY", Align::Left),
    ];
    let rows = [["a-long-name", "1", "x"], ["b", "12345", ""]];
    let rows = rows.map(|row| row.map(ToOwned::to_owned).to_vec());
    let expected = "\
NAME             N  WHY
a-long-name      1  x
b            12345
";
    assert_eq!(table(&head, &rows), expected);
    assert_eq!(table(&head, &[]), "NAME  N  WHY\n");
}

#[test]
fn numbers_and_nouns() {
    let told = [0, 1, 2].map(|number| counted(number, "record"));
    assert_eq!(told, ["0 records", "1 record", "2 records"]);
}
