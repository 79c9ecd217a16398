//! What is near enough to be meant.

use super::nearest;

#[test]
fn the_nearest_name_is_meant() {
    let known = ["orders", "orders-eu", "payments", "hello", "Users", "a"];
    let cases = [
        ("ordres", Some("orders")),
        ("order", Some("orders")),
        ("orderss", Some("orders")),
        ("orders_eu", Some("orders-eu")),
        ("helo", Some("hello")),
        ("hlelo", Some("hello")),
        ("users", Some("Users")),
        ("paymets", Some("payments")),
        ("b", Some("a")),
        ("nothing-like-it", None),
        ("ordinary", None),
        ("xy", None),
    ];
    for (wrong, expected) in cases {
        assert_eq!(nearest(wrong, known), expected, "{wrong}");
    }
    assert_eq!(nearest("orders", []), None);
}
