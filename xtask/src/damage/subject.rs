//! The broker whose directory is damaged: ottla, or Apache Kafka under the same harness.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::model::Name;
use crate::conformance::Places;
use crate::conformance::broker::{Broker, Launch};

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Ottla,
    Kafka,
}

impl Subject {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ottla => "ottla",
            Self::Kafka => "Apache Kafka",
        }
    }

    /// Starts it on `folder/data`; an error if it refuses.
    pub(super) fn start(self, places: &Places, folder: &Path) -> Result<Broker, String> {
        match self {
            Self::Ottla => {
                let launch = Launch {
                    log: Some(log(folder)),
                    ..Launch::default()
                };
                Broker::ottla_in(places, &launch, folder)
            }
            Self::Kafka => Broker::kafka_in(places, folder),
        }
    }

    /// Where in the data directory a partition lies.
    pub(super) fn folder_of(self, (topic, partition): Name) -> PathBuf {
        match self {
            Self::Ottla => Path::new(topic).join(format!("partition{partition}")),
            Self::Kafka => PathBuf::from(format!("{topic}-{partition}")),
        }
    }

    /// How long after its start a partition may have no leader.
    pub(super) const fn patience(self) -> Duration {
        match self {
            Self::Ottla => Duration::ZERO,
            Self::Kafka => Duration::from_secs(20),
        }
    }

    /// How long it may take to stop.
    pub(super) const fn stop_limit(self) -> Duration {
        match self {
            Self::Ottla => Duration::from_secs(15),
            Self::Kafka => Duration::from_mins(1),
        }
    }
}

/// Where a broker of this folder writes its log.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}
