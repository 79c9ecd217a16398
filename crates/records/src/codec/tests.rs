//! Each codec against its own framing: round trips, cuts, flips, lies and bombs.

use super::*;

const PLENTY: usize = 64 * 1024 * 1024;

fn pack(codec: Codec, body: &[u8]) -> Vec<u8> {
    pack_at(Compression::of(codec), body)
}

fn pack_at(compression: Compression, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let limited = Limited {
        out: &mut out,
        limit_bytes: PLENTY,
    };
    compress(compression, body, limited).unwrap();
    out.to_vec()
}

fn unpack(codec: Codec, packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    let mut budget = DecodeBudget::new(max_bytes);
    let mut out = Vec::new();
    let mut decompressor = decompress(codec, packed)?.expect("compressed");
    while decompressor.fill(&mut out, &mut budget)? {}
    assert_eq!(
        budget.remaining_bytes(),
        max_bytes - out.len(),
        "what is given is charged"
    );
    assert!(
        out.capacity() <= max_bytes,
        "{} bytes of {max_bytes}",
        out.capacity()
    );
    Ok(out)
}

fn packed_codecs() -> impl Iterator<Item = Codec> {
    Codec::ALL.into_iter().filter(|codec| *codec != Codec::None)
}

/// Text-like bytes: compressible, but not to nothing.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let words = [
        &b"offset "[..],
        b"partition ",
        b"leader ",
        b"epoch ",
        b"\x00\x01\x02",
        b"42 ",
    ];
    let mut out = Vec::with_capacity(length + 16);
    while out.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(words[(state >> 24) as usize % words.len()]);
        out.push((state >> 16 & 0xff) as u8);
    }
    out.truncate(length);
    out
}

#[test]
fn names_and_numbers() {
    for codec in Codec::ALL {
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
    }
    assert_eq!(Codec::from_id(5), None);
    assert_eq!(
        "LZ4".parse::<Codec>(),
        Err(UnknownCodecName("LZ4".to_owned()))
    );
}

#[test]
fn round_trip_at_block_borders() {
    for codec in packed_codecs() {
        for length in [
            0,
            1,
            31,
            32 * 1024,
            32 * 1024 + 1,
            64 * 1024,
            64 * 1024 + 1,
            300_000,
        ] {
            let body = sample(length);
            let packed = pack(codec, &body);
            assert_eq!(
                unpack(codec, &packed, PLENTY),
                Ok(body),
                "{codec}, {length} bytes"
            );
        }
    }
}

/// Bytes without order: nothing packs them.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut out = Vec::with_capacity(length);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        out.push((state >> 24) as u8);
    }
    out
}

const LEVELS: [(Codec, &[i32]); 3] = [
    (Codec::Gzip, &[-1, 1, 6, 9]),
    (Codec::Lz4, &[1, 2, 5, 8, 9, 10, 12, 17]),
    (Codec::Zstd, &[-131_072, -7, 0, 1, 3, 9, 19, 22]),
];

#[test]
fn round_trip_at_every_level() {
    let repeated = vec![7; 150_000];
    let mixed = [noise(70_000), sample(70_000), noise(10)].concat();
    for (codec, levels) in LEVELS {
        for level in levels {
            for body in [
                &[][..],
                b"abcdabcdabcdabcdab",
                &sample(130_000),
                &repeated,
                &mixed,
            ] {
                let packed = pack_at(Compression::at_level(codec, *level), body);
                let unpacked = unpack(codec, &packed, PLENTY);
                assert!(
                    unpacked.as_deref() == Ok(body),
                    "{codec} {level}, {}",
                    body.len()
                );
            }
        }
    }
}

#[test]
fn a_block_of_every_small_length_comes_back() {
    for length in 0..200 {
        for body in [sample(length), vec![3; length], noise(length)] {
            let packed = pack_at(Compression::at_level(Codec::Lz4, 12), &body);
            assert_eq!(unpack(Codec::Lz4, &packed, PLENTY), Ok(body));
        }
    }
}

#[test]
fn a_higher_level_packs_closer() {
    let body = sample(200_000);
    let size = |codec, level| pack_at(Compression::at_level(codec, level), &body).len();
    for (codec, low, high) in [
        (Codec::Gzip, 1, 9),
        (Codec::Lz4, 1, 8),
        (Codec::Lz4, 9, 12),
        (Codec::Zstd, -7, 3),
        (Codec::Zstd, 3, 19),
    ] {
        let (low_bytes, high_bytes) = (size(codec, low), size(codec, high));
        assert!(
            high_bytes < low_bytes,
            "{codec}: {low_bytes} bytes at {low}, {high_bytes} at {high}"
        );
    }
}

#[test]
fn packing_ends_at_the_limit() {
    let body = noise(300_000);
    for codec in Codec::ALL {
        let mut out = BytesMut::new();
        let limit_bytes = 100_000;
        let limited = Limited {
            out: &mut out,
            limit_bytes,
        };
        let refused = compress(Compression::of(codec), &body, limited);
        assert!(
            matches!(
                refused,
                Err(BatchError::TooLarge {
                    limit_bytes: 100_000,
                    ..
                })
            ),
            "{codec}: {refused:?}"
        );
        assert!(out.len() <= limit_bytes, "{codec}: {} bytes", out.len());
    }
}

/// The decoder takes windows of 8 MiB at most.
#[test]
fn the_highest_level_keeps_to_the_window() {
    let body = vec![7; 9 * 1024 * 1024];
    let packed = pack_at(Compression::at_level(Codec::Zstd, 20), &body);
    assert!(unpack(Codec::Zstd, &packed, PLENTY).as_ref() == Ok(&body));
}

#[test]
fn a_budget_of_exactly_the_size_is_enough_and_one_less_is_not() {
    for codec in packed_codecs() {
        for length in [1, 1000, 64 * 1024, 200_000] {
            let body = sample(length);
            let packed = pack(codec, &body);
            assert_eq!(
                unpack(codec, &packed, length).as_ref(),
                Ok(&body),
                "{codec}, {length}"
            );
            let limit_bytes = length - 1;
            let expected = Err(BatchError::BudgetExceeded { limit_bytes });
            assert_eq!(
                unpack(codec, &packed, limit_bytes),
                expected,
                "{codec}, {length}"
            );
        }
    }
}

#[test]
fn bombs_are_refused() {
    let bomb = vec![0; 4 * 1024 * 1024];
    for codec in packed_codecs() {
        let packed = pack(codec, &bomb);
        assert!(
            packed.len() < bomb.len() / 15,
            "{codec}: {} bytes are no bomb",
            packed.len()
        );
        for limit_bytes in [0, 1, 65_536, 1_000_000] {
            let expected = Err(BatchError::BudgetExceeded { limit_bytes });
            assert_eq!(unpack(codec, &packed, limit_bytes), expected, "{codec}");
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    let body = sample(3000);
    for codec in packed_codecs() {
        let packed = pack(codec, &body);
        for length in 0..packed.len() {
            let got = unpack(codec, &packed[..length], PLENTY);
            // A stream may be cut between its parts; then it must give less than all.
            assert_ne!(
                got.as_ref(),
                Ok(&body),
                "{codec} cut at {length} of {}",
                packed.len()
            );
        }
    }
}

#[test]
fn junk_is_an_error_or_less_but_never_a_panic() {
    let mut state = 1_u64;
    for round in 0..2000 {
        let length = round % 200;
        let junk: Vec<u8> = (0..length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        for codec in packed_codecs() {
            if let Ok(out) = unpack(codec, &junk, 1 << 20) {
                assert!(
                    out.len() <= 64 * junk.len(),
                    "{codec} made {} bytes of junk",
                    out.len()
                );
            }
        }
    }
}

#[test]
fn trailing_junk_is_an_error() {
    for codec in packed_codecs() {
        let packed = [&pack(codec, &sample(100))[..], b"junk"].concat();
        let got = unpack(codec, &packed, PLENTY);
        assert!(
            matches!(got, Err(BatchError::BadCompression { .. })),
            "{codec}: {got:?}"
        );
    }
}

#[test]
fn parts_in_a_row_are_one_stream() {
    // gzip members, Xerial heads, LZ4 frames, Zstandard frames.
    let (first, second) = (sample(1000), sample(70_000));
    for codec in packed_codecs() {
        let parts = [&first[..], &[], &[], &second, &[]].map(|part| pack(codec, part));
        let packed = parts.concat();
        let whole = [&first[..], &second].concat();
        assert_eq!(unpack(codec, &packed, PLENTY), Ok(whole), "{codec}");
    }
}

mod gzip_tests {
    use super::*;

    #[test]
    fn a_wrong_checksum_or_length_is_caught() {
        let body = sample(500);
        let packed = pack(Codec::Gzip, &body);
        for at in packed.len() - 8..packed.len() {
            let mut bad = packed.clone();
            bad[at] ^= 1;
            let got = unpack(Codec::Gzip, &bad, PLENTY);
            assert!(
                matches!(got, Err(BatchError::BadCompression { .. })),
                "byte {at}: {got:?}"
            );
        }
    }
}

mod snappy_tests {
    use super::*;

    fn raw(body: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(body).unwrap()
    }

    #[test]
    fn raw_blocks_are_read() {
        for length in [0, 1, 100, 100_000] {
            let body = sample(length);
            assert_eq!(unpack(Codec::Snappy, &raw(&body), PLENTY), Ok(body));
        }
    }

    #[test]
    fn what_we_write_is_framed_as_java_does() {
        let packed = pack(Codec::Snappy, &sample(40_000));
        let head = [
            0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
        ];
        assert_eq!(&packed[..16], head);
        let first = u32::from_be_bytes(packed[16..20].try_into().unwrap()) as usize;
        let block = &packed[20..20 + first];
        assert_eq!(snap::raw::decompress_len(block), Ok(32 * 1024));
    }

    #[test]
    fn a_block_cannot_promise_more_than_it_holds() {
        // Promises 4 GiB − 1 in 6 bytes.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        let got = unpack(Codec::Snappy, &lie, usize::MAX >> 1);
        let Err(BatchError::BadCompression { detail, .. }) = got else {
            panic!("{got:?}");
        };
        assert!(detail.contains("cannot hold"), "{detail}");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let head = pack(Codec::Snappy, &[]);
        for length in [-1, i32::MIN, i32::MAX, 5] {
            let packed = [&head[..], &length.to_be_bytes(), b"1234"].concat();
            let got = unpack(Codec::Snappy, &packed, PLENTY);
            assert!(
                matches!(got, Err(BatchError::BadCompression { .. })),
                "{length}: {got:?}"
            );
        }
    }

    #[test]
    fn the_most_that_a_block_can_grow_is_allowed() {
        // One literal, then copies of 64 bytes at distance 1, three bytes each.
        let copies = 1000;
        let mut block = vec![0x81, 0xf4, 0x03, 0x00, b'x'];
        for _ in 0..copies {
            block.extend_from_slice(&[0xfe, 0x01, 0x00]);
        }
        assert_eq!(
            unpack(Codec::Snappy, &block, PLENTY),
            Ok(vec![b'x'; 1 + 64 * copies])
        );
    }
}

mod lz4_tests {
    use super::*;
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;

    fn frame(info: FrameInfo, body: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_kinds_of_frames_are_read() {
        for block_mode in [BlockMode::Independent, BlockMode::Linked] {
            for block_size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                for checksums in [false, true] {
                    for length in [0, 10, 65_537, 700_000] {
                        let body = sample(length);
                        let info = FrameInfo::new()
                            .block_mode(block_mode)
                            .block_size(block_size)
                            .block_checksums(checksums)
                            .content_checksum(checksums)
                            .content_size(checksums.then_some(length as u64));
                        let packed = frame(info.clone(), &body);
                        let got = unpack(Codec::Lz4, &packed, PLENTY);
                        assert_eq!(got, Ok(body), "{info:?}");
                    }
                }
            }
        }
    }

    /// Blocks shorter than the window, each copying from several before it.
    #[test]
    fn linked_blocks_that_are_short_are_read() {
        let body = sample(200_000);
        let info = FrameInfo::new()
            .block_mode(BlockMode::Linked)
            .block_size(BlockSize::Max64KB);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        for piece in body.chunks(7_001) {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        let packed = encoder.finish().unwrap();
        assert_eq!(packed[..7], head(&[0x40, 0x40]));
        assert_eq!(unpack(Codec::Lz4, &packed, PLENTY), Ok(body));
        // The same blocks, called independent: their copies reach nowhere.
        let packed = [&head(&[0x60, 0x40])[..], &packed[7..]].concat();
        let got = unpack(Codec::Lz4, &packed, PLENTY);
        assert!(
            matches!(got, Err(BatchError::BadCompression { .. })),
            "{got:?}"
        );
    }

    #[test]
    fn what_we_write_begins_as_what_java_writes() {
        // Magic, version 1 with independent blocks, 64 KiB, and the right checksum of the two.
        let packed = pack(Codec::Lz4, b"x");
        assert_eq!(&packed[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        assert_eq!(&packed[packed.len() - 4..], [0; 4]);
    }

    #[test]
    fn every_checksum_is_verified() {
        let body = sample(2000);
        let info = FrameInfo::new()
            .block_mode(BlockMode::Independent)
            .block_size(BlockSize::Max64KB)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(2000));
        let packed = frame(info, &body);
        for bit in 0..packed.len() * 8 {
            let mut bad = packed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let got = unpack(Codec::Lz4, &bad, PLENTY);
            assert!(
                matches!(got, Err(BatchError::BadCompression { .. })),
                "bit {bit}: {got:?}"
            );
        }
    }

    #[test]
    fn a_frame_without_its_end_mark_is_an_error() {
        let packed = pack(Codec::Lz4, &sample(100));
        let got = unpack(Codec::Lz4, &packed[..packed.len() - 4], PLENTY);
        assert!(
            matches!(got, Err(BatchError::BadCompression { .. })),
            "{got:?}"
        );
    }

    /// A frame head with the checksum that fits it.
    fn head(described: &[u8]) -> Vec<u8> {
        let [.., checksum, _] = twox_hash::XxHash32::oneshot(0, described).to_be_bytes();
        [&[0x04, 0x22, 0x4d, 0x18], described, &[checksum]].concat()
    }

    #[test]
    fn heads_that_we_cannot_follow_are_refused() {
        let body = [&[1, 0, 0, 0x80][..], b"x", &[0; 4]].concat();
        let good = [head(&[0x60, 0x40]), body.clone()].concat();
        assert_eq!(unpack(Codec::Lz4, &good, PLENTY), Ok(b"x".to_vec()));
        for (described, what) in [
            (&[0x20, 0x40][..], "version 0"),
            (&[0xa0, 0x40], "version 2"),
            (&[0x62, 0x40], "a reserved flag"),
            (&[0x61, 0x40, 0, 0, 0, 0], "a dictionary"),
            (&[0x60, 0x30], "blocks of 16 KiB"),
            (&[0x60, 0xc0], "a reserved size bit"),
            (&[0x60, 0x41], "a reserved size bit"),
        ] {
            let got = unpack(
                Codec::Lz4,
                &[head(described), body.clone()].concat(),
                PLENTY,
            );
            assert!(
                matches!(got, Err(BatchError::BadCompression { .. })),
                "{what}: {got:?}"
            );
        }
    }

    #[test]
    fn a_head_that_promises_large_blocks_takes_no_memory() {
        let block = lz4_flex::block::compress(b"ten bytes.");
        let size = [u8::try_from(block.len()).unwrap(), 0, 0, 0];
        let packed = [&head(&[0x60, 0x70])[..], &size, &block, &[0; 4]].concat();
        let out = unpack(Codec::Lz4, &packed, PLENTY).unwrap();
        assert_eq!(out, b"ten bytes.");
        assert!(out.capacity() < 4096, "{} bytes", out.capacity());
    }

    #[test]
    fn a_wrong_content_size_is_an_error() {
        for (content_bytes, good) in [(0, false), (1, true), (2, false)] {
            let described = [0x68, 0x40, content_bytes, 0, 0, 0, 0, 0, 0, 0];
            let body = [&[1, 0, 0, 0x80][..], b"x", &[0; 4]].concat();
            let got = unpack(Codec::Lz4, &[head(&described), body].concat(), PLENTY);
            assert_eq!(got.is_ok(), good, "{content_bytes}: {got:?}");
        }
    }

    #[test]
    fn a_stored_block_larger_than_the_frame_allows_is_an_error() {
        let stored = |length: u32| {
            let size = (length | 1 << 31).to_be_bytes();
            let block = vec![7; length as usize];
            let size: Vec<u8> = size.into_iter().rev().collect();
            [head(&[0x60, 0x40]), size, block, vec![0; 4]].concat()
        };
        assert_eq!(
            unpack(Codec::Lz4, &stored(65_536), PLENTY),
            Ok(vec![7; 65_536])
        );
        let got = unpack(Codec::Lz4, &stored(65_537), PLENTY);
        assert!(
            matches!(got, Err(BatchError::BadCompression { .. })),
            "{got:?}"
        );
    }

    #[test]
    fn a_block_larger_than_the_frame_allows_is_an_error() {
        // 100 KiB in one block, under a head that says 64 KiB.
        let large = lz4_flex::block::compress(&vec![7; 100 * 1024]);
        let mut packed = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
        let [high, low] = u16::try_from(large.len()).unwrap().to_be_bytes();
        packed.extend_from_slice(&[low, high, 0, 0]);
        packed.extend_from_slice(&large);
        packed.extend_from_slice(&[0; 4]);
        let got = unpack(Codec::Lz4, &packed, PLENTY);
        assert!(
            matches!(got, Err(BatchError::BadCompression { .. })),
            "{got:?}"
        );
    }
}

mod zstd_tests {
    use super::*;
    use std::io::Write;

    fn frame(window_log: u32, body: &[u8]) -> Vec<u8> {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_window_of_8_mib_is_read_and_a_larger_one_is_not() {
        let body = sample(100_000);
        assert_eq!(
            unpack(Codec::Zstd, &frame(23, &body), PLENTY).as_ref(),
            Ok(&body)
        );
        for window_log in [24, 27] {
            let got = unpack(Codec::Zstd, &frame(window_log, &body), PLENTY);
            let Err(BatchError::BadCompression { detail, .. }) = got else {
                panic!("window of 2^{window_log}: {got:?}");
            };
            assert!(detail.contains("memory"), "{detail}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_caught() {
        let mut packed = frame(20, &sample(500));
        *packed.last_mut().unwrap() ^= 1;
        let got = unpack(Codec::Zstd, &packed, PLENTY);
        assert!(
            matches!(got, Err(BatchError::BadCompression { .. })),
            "{got:?}"
        );
    }
}
