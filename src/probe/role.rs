//! The answer to `ROLE`; see <https://redis.io/docs/latest/commands/role/>.

use ::redis::Value;

/// What part a server plays in replication, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes. A server that is still loading says so too.
    Primary {
        /// Bytes of its replication stream.
        offset: i64,
        /// Replicas that are connected.
        replicas: Vec<Replica>,
    },
    /// It follows another server.
    Replica {
        /// The primary's address, as configured.
        host: String,
        /// The primary's port.
        port: u16,
        /// The link to it.
        link: Link,
        /// Bytes of the stream applied; -1 before the first synchronisation.
        offset: i64,
    },
    /// It is a Sentinel and holds no data.
    Sentinel,
}

/// A replica as its primary names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The announced address, or its IP.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The offset it last acknowledged.
    pub offset: i64,
}

/// A replica's link to its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It follows.
    Connected,
    /// It receives a full copy.
    Sync,
    /// It tries to connect.
    Connecting,
}

/// The answer has another shape.
#[derive(Debug, thiserror::Error)]
#[error("the answer to ROLE has no usable {0}")]
pub struct RoleError(&'static str);

impl Role {
    /// Reads the answer.
    pub fn parse(answer: &Value) -> Result<Self, RoleError> {
        let Value::Array(items) = answer else { return Err(RoleError("list")) };
        match &*text(items, 0, "role")? {
            "master" => {
                let Some(Value::Array(replicas)) = items.get(2) else { return Err(RoleError("replicas")) };
                let replicas = replicas.iter().map(Replica::parse).collect::<Result<_, _>>()?;
                Ok(Self::Primary { offset: number(items, 1, "offset")?, replicas })
            }
            "slave" => Ok(Self::Replica {
                host: text(items, 1, "primary address")?,
                port: number(items, 2, "primary port")?,
                link: match &*text(items, 3, "link state")? {
                    "connected" => Link::Connected,
                    "sync" => Link::Sync,
                    _ => Link::Connecting,
                },
                offset: number(items, 4, "offset")?,
            }),
            "sentinel" => Ok(Self::Sentinel),
            _ => Err(RoleError("role")),
        }
    }
}

impl Replica {
    fn parse(answer: &Value) -> Result<Self, RoleError> {
        let Value::Array(items) = answer else { return Err(RoleError("replica")) };
        Ok(Self {
            host: text(items, 0, "replica address")?,
            port: number(items, 1, "replica port")?,
            offset: number(items, 2, "replica offset")?,
        })
    }
}

fn text(items: &[Value], index: usize, what: &'static str) -> Result<String, RoleError> {
    items.get(index).and_then(|value| ::redis::from_redis_value_ref(value).ok()).ok_or(RoleError(what))
}

// Numbers come as integers or as text, depending on the field. The crate would
// cut one that does not fit.
fn number<T: TryFrom<i64>>(items: &[Value], index: usize, what: &'static str) -> Result<T, RoleError> {
    let value: i64 =
        items.get(index).and_then(|value| ::redis::from_redis_value_ref(value).ok()).ok_or(RoleError(what))?;
    T::try_from(value).map_err(|_too_large| RoleError(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_shape_is_an_error_that_names_the_part() {
        assert_eq!(Role::parse(&Value::Array(vec![word("sentinel")])).expect("a role"), Role::Sentinel);
        for (answer, part) in [
            (Value::Okay, "list"),
            (Value::Array(vec![]), "role"),
            (Value::Array(vec![word("leader")]), "role"),
            (Value::Array(vec![word("master"), Value::Int(1)]), "replicas"),
            (Value::Array(vec![word("slave"), word("h"), Value::Int(70_000)]), "primary port"),
        ] {
            let error = Role::parse(&answer).expect_err("not a role").to_string();
            assert!(error.ends_with(part), "{error}");
        }
    }

    fn word(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }
}
