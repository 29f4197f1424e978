//! Checksums.

use sha2::Digest;

use super::{Function, Outcome, Param::Str as Text, plain};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("sha1sum", &[Text], |c| hex(&sha1::Sha1::digest(c.bytes(0)))),
    plain("sha256sum", &[Text], |c| hex(&sha2::Sha256::digest(c.bytes(0)))),
    plain("sha512sum", &[Text], |c| hex(&sha2::Sha512::digest(c.bytes(0)))),
    plain("adler32sum", &[Text], |c| {
        let (a, b) = c.bytes(0).iter().fold((1u32, 0u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (b + a) % 65521)
        });
        Ok(Value::str(((b << 16) | a).to_string()))
    }),
];

fn hex(bytes: &[u8]) -> Outcome {
    Ok(Value::str(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}
