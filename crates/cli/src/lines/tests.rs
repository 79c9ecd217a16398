//! Lines come out as they went in, whatever the pieces in which the input arrives.

use std::io::{self, Read};

use tokio::sync::mpsc;

use super::{LINE_BYTES_MAX, LinesError, read_all};

/// Gives what it has piece by piece.
struct Pieces(Vec<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        if piece == b"!" {
            return Err(io::Error::other("broken"));
        }
        target[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// The chunks, and why the input ended early.
fn read(source: impl Read + Send + 'static) -> (Vec<Vec<Vec<u8>>>, Option<LinesError>) {
    let (queue, mut lines) = mpsc::channel(2);
    let thread = std::thread::spawn(move || read_all(source, &queue));
    let mut chunks = Vec::new();
    let mut end = None;
    while let Some(chunk) = lines.blocking_recv() {
        match chunk {
            Ok(chunk) => chunks.push(chunk.iter().map(<[u8]>::to_vec).collect()),
            Err(error) => end = Some(error),
        }
    }
    thread.join().unwrap();
    (chunks, end)
}

fn lines_of(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (chunks, end) = read(Pieces(pieces.iter().map(|piece| piece.to_vec()).collect()));
    assert!(end.is_none(), "{end:?}");
    chunks.concat()
}

#[test]
fn every_line_comes_once_and_whole() {
    type Pieces<'a> = &'a [&'a [u8]];
    let cases: [(Pieces<'_>, Pieces<'_>); 8] = [
        (&[b"a\nb\n"], &[b"a", b"b"]),
        (&[b"a\nb"], &[b"a", b"b"]),
        (&[b"a", b"b\nc", b"d", b"\n"], &[b"ab", b"cd"]),
        (&[b"\n\n"], &[b"", b""]),
        (&[b"\n"], &[b""]),
        (&[], &[]),
        (&[b"a\r\n"], &[b"a\r"]),
        (&[b"\xff\x00\n"], &[b"\xff\x00"]),
    ];
    for (pieces, expected) in cases {
        assert_eq!(lines_of(pieces), expected, "{pieces:?}");
    }
}

#[test]
fn what_is_there_does_not_wait_for_more() {
    let pieces = [b"a\nb\nc".to_vec(), b"c\n".to_vec()];
    let (chunks, _) = read(Pieces(pieces.to_vec()));
    assert_eq!(
        chunks,
        [vec![b"a".to_vec(), b"b".to_vec()], vec![b"cc".to_vec()]]
    );
}

#[test]
fn a_large_input_comes_in_many_chunks_and_in_order() {
    let lines: Vec<String> = (0..200_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let text = lines.concat();
    let (chunks, end) = read(io::Cursor::new(text.clone()));
    assert!(end.is_none() && chunks.len() > 5);
    let mut joined = chunks.concat().join(&b'\n');
    joined.push(b'\n');
    assert!(joined == text.as_bytes());
}

#[test]
fn a_failed_read_is_told_after_the_lines_before_it() {
    let (chunks, end) = read(Pieces(vec![b"a\n".to_vec(), b"!".to_vec()]));
    assert_eq!(chunks.concat(), [b"a"]);
    assert!(matches!(end, Some(LinesError::Read(_))), "{end:?}");
}

#[test]
fn a_line_without_an_end_is_refused() {
    let (_, end) = read(io::Cursor::new(vec![b'x'; LINE_BYTES_MAX]));
    assert!(end.is_none(), "the longest line is fine: {end:?}");
    let endless = io::Cursor::new(b"a\n".to_vec()).chain(io::repeat(b'x'));
    let (_, end) = read(endless);
    assert!(
        matches!(end, Some(LinesError::TooLong { number: 2 })),
        "{end:?}"
    );
}
