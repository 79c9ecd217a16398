//! First bytes and what they mean.

use super::{DetectError, FIRST_BYTES_DEADLINE, HTTP2_PREFACE, Protocol, classify, detect};
use tokio::io::AsyncWriteExt;

#[test]
fn first_bytes_decide() {
    let cases: &[(&[u8], Option<Protocol>)] = &[
        (b"", None),
        (&[0x00], Some(Protocol::Kafka)),
        (&[0x14, 0xff, 0xff, 0xff], Some(Protocol::Kafka)),
        (&[0x15], Some(Protocol::Unknown)),
        (&[0x16, 0x03, 0x01], Some(Protocol::Tls)),
        (b"P", None),
        (b"PR", None),
        (b"PRI * HTTP/2.0", None),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Protocol::Http2)),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0",
            Some(Protocol::Http2),
        ),
        (b"PRI /", Some(Protocol::Http1)),
        (b"PO", Some(Protocol::Http1)),
        (b"PROPFIND", Some(Protocol::Http1)),
        (b"GET / HTTP/1.1", Some(Protocol::Http1)),
        (b"get /", Some(Protocol::Unknown)),
        (&[0x80, 0x2e], Some(Protocol::Unknown)),
        (&[0xff; 8], Some(Protocol::Unknown)),
    ];
    for (first, expected) in cases {
        assert_eq!(classify(first), *expected, "{first:02x?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_came_one_by_one_are_all_handed_on() {
    let (mut ours, mut theirs) = tokio::io::duplex(64);
    let sending = async {
        for byte in HTTP2_PREFACE {
            theirs.write_all(&[*byte]).await.unwrap();
            theirs.flush().await.unwrap();
        }
        theirs
    };
    let (detected, _theirs) = tokio::join!(detect(&mut ours), sending);
    let (protocol, first) = detected.unwrap();
    assert_eq!(protocol, Protocol::Http2);
    assert_eq!(&first[..], HTTP2_PREFACE);
}

#[tokio::test(start_paused = true)]
async fn half_a_preface_ends_at_the_deadline() {
    let (mut ours, mut theirs) = tokio::io::duplex(64);
    theirs.write_all(b"PRI * HTTP").await.unwrap();
    assert!(matches!(
        detect(&mut ours).await,
        Err(DetectError::Deadline)
    ));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let (mut ours, _theirs) = tokio::io::duplex(64);
    let before = tokio::time::Instant::now();
    assert!(matches!(
        detect(&mut ours).await,
        Err(DetectError::Deadline)
    ));
    assert_eq!(before.elapsed(), FIRST_BYTES_DEADLINE);
}

#[tokio::test]
async fn a_peer_that_leaves_is_an_error_not_a_protocol() {
    let (mut ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    assert!(matches!(detect(&mut ours).await, Err(DetectError::Left(_))));
}
