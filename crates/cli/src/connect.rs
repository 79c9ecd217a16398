//! Reaching the broker, and saying what went wrong with it.

use kafka_client::{Client, ClientError, ClientOptions, ErrorCode};

use crate::client_arguments::BrokerArguments;
use crate::failure::{Exit, Failure};
use crate::suggest::nearest;

/// What the broker's log calls this program.
const CLIENT_ID: &str = "ottla-cli";

/// Runs a command to its end, on this thread.
pub(crate) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Error, "the system refused what a command needs").why(error.to_string())
    })?;
    runtime.block_on(command)
}

/// Connects to the broker that was named.
pub(crate) async fn connect(broker: &BrokerArguments) -> Result<Client, Failure> {
    let options = ClientOptions {
        address: broker.bootstrap.clone(),
        timeout: broker.timeout,
        client_id: CLIENT_ID.to_owned(),
    };
    Client::connect(options)
        .await
        .map_err(|error| explain(&error, "the broker cannot be used"))
}

/// A failure with an exit code that scripts can act on. `what` says what could not be done; an
/// unreachable broker is the fact itself.
pub(crate) fn explain(error: &ClientError, what: &str) -> Failure {
    match error {
        ClientError::Unreachable { address, source } => {
            Failure::new(Exit::Unreachable, format!("no broker answers at {address}"))
                .why(source.to_string())
                .fix("start one with `ottla`, or name another: -b HOST:PORT")
        }
        ClientError::Timeout {
            address,
            doing,
            after,
        } => {
            let seconds = after.as_secs_f64();
            let said = format!("{address} did not answer within {seconds} s");
            Failure::new(Exit::Unreachable, said)
                .why(format!("it was asked: {doing}"))
                .fix("look at the broker's log, or wait longer: --timeout 60s")
        }
        ClientError::Closed {
            address,
            doing,
            source,
        } => {
            let said = format!("{address} closed the connection");
            let cause = source
                .as_ref()
                .map_or_else(String::new, |source| format!(": {source}"));
            Failure::new(Exit::Unreachable, said)
                .why(format!("it was asked: {doing}{cause}"))
                .fix("look at the broker's log")
        }
        ClientError::Protocol { address, detail } => Failure::new(
            Exit::Error,
            format!("{address} does not speak Kafka as expected"),
        )
        .why(detail.clone())
        .fix("is this the port of a broker? name another: -b HOST:PORT"),
        ClientError::Unsupported { .. } | ClientError::Unspeakable { .. } => {
            Failure::new(Exit::Error, what).why(error.to_string())
        }
        ClientError::Refused {
            code: code @ ErrorCode::InvalidTopicException,
            message: None,
        } => Failure::new(Exit::Error, what).code(code.name()).why(
            "a topic name has 1 to 249 of the characters a-z A-Z 0-9 . _ - \
             and is neither \".\" nor \"..\"",
        ),
        ClientError::Refused { code, .. } => Failure::new(exit_of(*code), what)
            .code(code.name())
            .why(error.to_string()),
    }
}

fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => Exit::NotFound,
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::TransactionalIdAuthorizationFailed
        | ErrorCode::SaslAuthenticationFailed => Exit::Denied,
        ErrorCode::RequestTimedOut => Exit::Unreachable,
        _ => Exit::Error,
    }
}

/// Whether a topic is not there.
pub(crate) fn is_unknown_topic(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::UnknownTopicOrPartition)
}

/// A topic that does not exist: what exists, what may have been meant, what to type. `command` is
/// what was tried, without the topic.
pub(crate) async fn unknown_topic(
    client: &mut Client,
    broker: &BrokerArguments,
    name: &str,
    (command, reason): (&str, &str),
) -> Failure {
    let known = client.list_topics().await.unwrap_or_default();
    let count = known.len();
    let topics = if count == 1 { "topic" } else { "topics" };
    let flag = broker.flag();
    let create = format!("ottla topic create {name}{flag}");
    let meant = nearest(name, known.iter().map(|topic| topic.name.as_str()));
    let fix = match meant {
        Some(meant) => {
            format!("did you mean {meant:?}?   ottla {command} {meant}{flag}   |   {create}")
        }
        None => format!("ottla topic list{flag}   |   {create}"),
    };
    Failure::new(Exit::NotFound, format!("topic {name:?} does not exist"))
        .code(ErrorCode::UnknownTopicOrPartition.name())
        .why(format!(
            "broker {} has {count} {topics}, and {reason}",
            broker.bootstrap
        ))
        .fix(fix)
}
