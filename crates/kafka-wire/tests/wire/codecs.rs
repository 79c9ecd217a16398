//! Every generated message behind one shape, so that a test can loop over all of them.

use bytes::Bytes;
use kafka_wire::{DecodeError, Message, Reader, Writer, for_each_api};

/// One request or response type.
pub(crate) struct Codec {
    pub(crate) api: &'static str,
    pub(crate) side: &'static str,
    pub(crate) key: i16,
    pub(crate) versions: std::ops::RangeInclusive<i16>,
    /// Decodes; gives the position behind the message.
    pub(crate) decode: fn(Bytes, i16) -> Result<usize, DecodeError>,
    /// Decodes, encodes, decodes again; gives the encoded bytes.
    pub(crate) recode: fn(Bytes, i16) -> Result<Bytes, DecodeError>,
}

impl Codec {
    fn of<M: Message>(api: &'static str, side: &'static str) -> Self {
        Self {
            api,
            side,
            key: M::KEY,
            versions: M::MIN_VERSION..=M::MAX_VERSION,
            decode: decode::<M>,
            recode: recode::<M>,
        }
    }
}

fn decode<M: Message>(bytes: Bytes, version: i16) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    M::decode(&mut reader, version)?;
    Ok(reader.position())
}

fn recode<M: Message>(bytes: Bytes, version: i16) -> Result<Bytes, DecodeError> {
    let message = M::decode(&mut Reader::new(bytes), version)?;
    let encoded = encode(&message, version);
    let mut reader = Reader::new(encoded.clone());
    let again = M::decode(&mut reader, version).expect("what was encoded decodes");
    assert_eq!(again, message, "{} version {version}", M::NAME);
    assert_eq!(reader.remaining(), 0, "{} version {version}", M::NAME);
    Ok(encoded)
}

pub(crate) fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message
        .encode(&mut writer, version)
        .expect("what was decoded in a version encodes in it");
    writer.into_inner().freeze()
}

macro_rules! list {
    ($(($api:ident, $request:ty, $response:ty))*) => {
        vec![$(
            Codec::of::<$request>(stringify!($api), "request"),
            Codec::of::<$response>(stringify!($api), "response"),
        )*]
    };
}

/// Every generated request and response.
pub(crate) fn all() -> Vec<Codec> {
    for_each_api!(list)
}

#[test]
fn requests_and_responses_of_all_apis_are_listed() {
    let names: Vec<_> = kafka_wire::messages::APIS
        .iter()
        .map(|api| api.name)
        .collect();
    let codecs: Vec<_> = all().iter().step_by(2).map(|codec| codec.api).collect();
    assert_eq!(codecs, names);
    assert!(names.len() >= 14, "{names:?}");
}
