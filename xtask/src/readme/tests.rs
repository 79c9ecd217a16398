//! Which blocks of a document are run, and which are written to a file.

use super::{Block, blocks};

fn check(text: &str, expected: &[(usize, &str)]) {
    let expected: Vec<Block> = expected
        .iter()
        .map(|(line, commands)| Block {
            line: *line,
            file: None,
            text: (*commands).to_owned(),
        })
        .collect();
    assert_eq!(blocks(text), Ok(expected), "{text}");
}

#[test]
fn a_block_with_a_file_name_is_written_to_it() {
    let text = "```python tour.py\nimport x\n```\n```sh\npython tour.py\n```\n";
    let file = Block {
        line: 1,
        file: Some("tour.py".to_owned()),
        text: "import x\n".to_owned(),
    };
    let commands = Block {
        line: 4,
        file: None,
        text: "python tour.py\n".to_owned(),
    };
    assert_eq!(blocks(text), Ok(vec![file, commands]));
}

#[test]
fn only_blocks_fenced_as_sh_are_run() {
    check("no block\n", &[]);
    check("```sh\na\nb\n```\n", &[(1, "a\nb\n")]);
    check("```console\n$ a\n```\n```\nb\n```\n```text\nc\n```\n", &[]);
    check(
        "x\n```sh\na\n```\ny\n```sh\nb\n```\n",
        &[(2, "a\n"), (6, "b\n")],
    );
    check("- item\n  ```sh\n  a\n  ```\n", &[(2, "  a\n")]);
    check("```shell\na\n```\n", &[]);
}

#[test]
fn a_block_without_end_is_an_error() {
    let error = blocks("x\n```sh\na\n").expect_err("it does not end");
    assert!(error.contains("line 2"), "{error}");
}
