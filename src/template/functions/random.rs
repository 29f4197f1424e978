//! Random strings, numbers and identifiers, from the host's randomness.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Call, Function, Outcome,
    Param::{Int, Str as Text},
    Refusal, plain,
};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("randAlphaNum", &[Int], |c| string(c, &alphabet(|b| b.is_ascii_alphanumeric()))),
    plain("randAlpha", &[Int], |c| string(c, &alphabet(|b| b.is_ascii_alphabetic()))),
    plain("randNumeric", &[Int], |c| string(c, b"0123456789")),
    plain("randAscii", &[Int], |c| string(c, &alphabet(|b| (32..127).contains(&b)))),
    plain("randBytes", &[Int], |c| {
        let mut buffer = vec![0; super::strings::bounded(c, c.int(0))?];
        c.machine.host.random(&mut buffer);
        Ok(Value::str(STANDARD.encode(buffer)))
    }),
    plain("randInt", &[Int, Int], |c| {
        let (low, high) = (c.int(0), c.int(1));
        let width = high.checked_sub(low).and_then(|width| u64::try_from(width).ok()).filter(|width| *width > 0);
        let Some(width) = width else { return Err("the upper bound must be above the lower one".into()) };
        Ok(Value::int(low.wrapping_add_unsigned(below(c, width))))
    }),
    plain("shuffle", &[Text], |c| {
        let mut chars: Vec<char> = c.text(0).chars().collect();
        for last in (1..chars.len()).rev() {
            let other = below(c, last as u64 + 1);
            chars.swap(last, usize::try_from(other).unwrap_or(0));
        }
        Ok(Value::str(chars.into_iter().collect::<String>()))
    }),
    plain("uuidv4", &[], |c| {
        let mut b = [0; 16];
        c.machine.host.random(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Value::str(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])))
    }),
];

fn alphabet(keep: impl Fn(u8) -> bool) -> Vec<u8> {
    (0..128).filter(|b| keep(*b)).collect()
}

/// A number below `limit`, without bias.
fn below(call: &Call<'_, '_>, limit: u64) -> u64 {
    let fair = u64::MAX - u64::MAX % limit;
    loop {
        let mut buffer = [0; 8];
        call.machine.host.random(&mut buffer);
        let number = u64::from_le_bytes(buffer);
        if number < fair {
            return number % limit;
        }
    }
}

fn string(call: &mut Call<'_, '_>, alphabet: &[u8]) -> Outcome {
    let count = super::strings::bounded(call, call.int(0)).map_err(|_| Refusal::from("the count is out of bounds"))?;
    let text: Vec<u8> =
        (0..count).map(|_| alphabet[usize::try_from(below(call, alphabet.len() as u64)).unwrap_or(0)]).collect();
    Ok(Value::str(text))
}
