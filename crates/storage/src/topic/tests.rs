//! Which texts are topic names: no other text becomes a path component.

use proptest::prelude::*;

use super::*;

#[test]
fn names() {
    let longest = "x".repeat(TOPIC_NAME_BYTES_MAX);
    let good = [
        "a", "Z", "0", ".a", "a.", "...", "-", "_", "a-b_c.d9", "ottla",
    ];
    for name in good.into_iter().chain([longest.as_str()]) {
        let parsed = TopicName::parse(name).expect("a valid name");
        assert_eq!(
            (parsed.as_str(), parsed.to_string()),
            (name, name.to_owned())
        );
        assert_eq!(format!("{parsed:?}"), format!("{name:?}"));
    }
    let character = InvalidTopicName::Character;
    let bad = [
        ("", InvalidTopicName::Empty),
        (".", InvalidTopicName::Dots),
        ("..", InvalidTopicName::Dots),
        ("a/b", character('/')),
        ("../etc", character('/')),
        ("a\\b", character('\\')),
        ("a\0", character('\0')),
        ("a b", character(' ')),
        ("a\n", character('\n')),
        ("@ottla", character('@')),
        ("a:b", character(':')),
        ("übung", character('ü')),
        ("a\u{2024}b", character('\u{2024}')),
        ("１", character('１')),
    ];
    for (name, expected) in bad {
        assert_eq!(TopicName::parse(name), Err(expected), "{name:?}");
    }
    for (name, characters) in [("x".repeat(250), 250), ("ü".repeat(300), 300)] {
        assert_eq!(
            TopicName::parse(&name),
            Err(InvalidTopicName::TooLong(characters))
        );
    }
    // 200 characters are not too many, though they are 400 bytes.
    assert_eq!(TopicName::parse(&"ü".repeat(200)), Err(character('ü')));
}

#[test]
fn dots_and_underscores_collide() {
    let form = |name| {
        TopicName::parse(name)
            .expect("a valid name")
            .collision_form()
    };
    assert_eq!(form("a.b_c"), form("a_b.c"));
    assert_ne!(form("a.b"), form("a-b"));
    assert_ne!(form("a.b"), form("A.b"));
}

#[test]
fn ids_are_written_as_uuids() {
    let id = TopicId([
        0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40,
        0x00,
    ]);
    assert_eq!(id.to_string(), "123e4567-e89b-12d3-a456-426614174000");
    assert_eq!(
        format!("{:?}", TopicId::ZERO),
        "00000000-0000-0000-0000-000000000000"
    );
}

proptest! {
    #[test]
    fn a_name_is_one_plain_path_component(text in "\\PC{0,300}|[a-z._/\\\\-]{0,260}") {
        if let Ok(name) = TopicName::parse(&text) {
            let path = std::path::Path::new(name.as_str());
            let components: Vec<_> = path.components().collect();
            prop_assert_eq!(components.len(), 1);
            prop_assert!(matches!(components[0], std::path::Component::Normal(part) if part == name.as_str()));
            prop_assert!(name.as_str().len() <= TOPIC_NAME_BYTES_MAX && name.as_str().is_ascii());
        }
    }
}
