//! The topic that a load writes to.

use std::time::Duration;

use kafka_client::{Client, ClientError, ErrorCode, NewTopic, Topic};
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(5);

/// Makes a topic and waits until every partition has a leader. One that exists is taken as it is.
pub async fn make_topic(client: &mut Client, topic: &NewTopic) -> Result<Topic, ClientError> {
    match client.create_topic(topic).await {
        Err(error) if error.code() != Some(ErrorCode::TopicAlreadyExists) => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let patience = Instant::now() + client.options().timeout;
    loop {
        let found = client.topic(&topic.name, false).await;
        let led = found.as_ref().is_ok_and(|topic| {
            let mut partitions = topic.partitions.iter();
            partitions.all(|partition| partition.leader >= 0 && partition.error.is_none())
        });
        let may_pass = match &found {
            Ok(_) => true,
            Err(error) => error.is_retriable(),
        };
        if led || !may_pass || Instant::now() > patience {
            return found;
        }
        sleep(PAUSE).await;
    }
}
