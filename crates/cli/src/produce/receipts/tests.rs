//! What is told of which acknowledgements.

use kafka_client::Acknowledged;

use super::Receipts;

fn batch(partition: i32, base_offset: Option<i64>, records: usize) -> Acknowledged {
    Acknowledged {
        partition,
        base_offset,
        records,
    }
}

#[test]
fn neighbours_are_told_as_one() {
    type Case<'a> = (Vec<Acknowledged>, &'a [&'a str], u64);
    let cases: [Case<'_>; 6] = [
        (vec![batch(0, Some(0), 1)], &["t[0]@0"], 1),
        (vec![batch(0, Some(7), 3)], &["t[0]@7..9"], 3),
        (
            vec![batch(0, Some(0), 2), batch(0, Some(2), 1)],
            &["t[0]@0..2"],
            3,
        ),
        // Somebody else wrote in between.
        (
            vec![batch(0, Some(0), 2), batch(0, Some(3), 1)],
            &["t[0]@0..1", "t[0]@3"],
            3,
        ),
        (
            vec![
                batch(1, Some(0), 1),
                batch(0, Some(4), 1),
                batch(1, Some(1), 1),
            ],
            &["t[0]@4", "t[1]@0..1"],
            3,
        ),
        (
            vec![batch(0, None, 2), batch(0, None, 1), batch(0, Some(3), 1)],
            &["t[0] 3 records sent, offsets unknown", "t[0]@3"],
            1,
        ),
    ];
    for (batches, lines, acknowledged) in cases {
        let mut receipts = Receipts::new("t".to_owned());
        receipts.take(batches);
        assert_eq!(receipts.records(), acknowledged);
        assert_eq!(receipts.lines(), lines);
        assert_eq!(
            receipts.lines(),
            Vec::<String>::new(),
            "nothing is told twice"
        );
    }
}
