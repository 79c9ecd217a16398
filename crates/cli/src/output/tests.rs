//! Columns.

use serde_json::json;

use super::{Align, counted, data, table};
use crate::client_arguments::Form;

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

#[test]
fn data_has_three_forms() {
    let all =
        json!({"n": 1, "rows": [{"a": "x: \"y\"", "b": {"c": [1, 2], "d": []}}, {}], "z": null});
    assert_eq!(data(Form::Json, &all, "rows"), format!("{all}\n"));
    let lines = "{\"a\":\"x: \\\"y\\\"\",\"b\":{\"c\":[1,2],\"d\":[]}}\n{}\n";
    assert_eq!(data(Form::Jsonl, &all, "rows"), lines);
    assert_eq!(data(Form::Jsonl, &all, ""), format!("{all}\n"));
    let yaml = "\
\"n\": 1
\"rows\":
  - \"a\": \"x: \\\"y\\\"\"
    \"b\":
      \"c\":
        - 1
        - 2
      \"d\": []
  - {}
\"z\": null
";
    assert_eq!(data(Form::Yaml, &all, "rows"), yaml);
    assert_eq!(data(Form::Yaml, &json!({"n": 1}), ""), "---\n\"n\": 1\n");
}
