//! Faults that are planted, and that the simulator must find: it proves nothing absent that it would not notice.
#![forbid(unsafe_code)]

use keyway::testing::simulator;
use keyway::testing::simulator::sabotage::Sabotage;

/// Seeds within which each is found.
const SEEDS_MAX: u64 = 1_000;

/// What is said of each when it is found: one of these.
fn symptoms(sabotage: Sabotage) -> &'static [&'static str] {
    match sabotage {
        Sabotage::CommitBeforeSync => {
            &["the model knows only of", "the server does not start: the database is damaged"]
        }
        Sabotage::AuthorisationSkipped => &[
            "nobody has allowed",
            "may know nothing",
            "are told apart",
            "only privileged users make objects",
            // Where nobody was told, since the server was lost.
            "the model knows only of",
        ],
        Sabotage::ConnectionTooMany => &["what is accepted is served up to the cap, and refused above it"],
        Sabotage::HeadTooLong => &["404 for Rubbish"],
        Sabotage::BodyTooLong => &["404 for Rubbish"],
        Sabotage::TimerWithoutGeneration => &[
            "a connection is closed for no reason",
            "a connection is dropped that is neither closed, nor broken, nor slow",
            "a peer is slow after",
            "a handshake is given up after",
            "it was in time",
        ],
        Sabotage::AnswerWithoutGeneration => &[
            "what is answered was asked",
            "about something else",
            "an answer in the dialect of its request",
            "an answer that nobody asked for",
            // The connection is read from again, whose own request is still in a lane.
            "nothing is read exactly while a request is in a lane",
        ],
        Sabotage::Unsealed => &["a sealed disk shows a key"],
        Sabotage::RequestsLogged => &["the log shows a secret"],
        Sabotage::AnswerBeforeRecord => &["a client was told what is not in the audit log"],
        Sabotage::AbandonedUnrecorded => &["what was done is not in the audit log"],
        Sabotage::AnswerInTheClear => &["a secret travels as it is"],
        // Where users have tokens, these are asked for in the place of the owner's.
        Sabotage::OwnerNotAsked => &["a stranger is let in", "the owner is sent away"],
        Sabotage::CertificateNotAsked => &["a stranger has an answer"],
        Sabotage::AttributesLost => &["the model knows only of"],
        Sabotage::BotAsleep => {
            &["a server without a valid certificate is well", "the server has no valid certificate"]
        }
        // What belongs to one lies in the database of another.
        Sabotage::TenantsMixedUp => &["nobody has allowed", "may know nothing", "the model knows only of"],
    }
}

/// Why the fault was not found, if it was not.
fn miss(sabotage: Sabotage) -> Option<String> {
    for seed in 0..SEEDS_MAX {
        if let Err(failure) = simulator::run_sabotaged(seed, sabotage) {
            let symptoms = symptoms(sabotage);
            let is_known = symptoms.iter().any(|symptom| failure.reason.contains(symptom));
            return (!is_known).then(|| format!("{sabotage:?}: this is something else: {failure}"));
        }
    }
    Some(format!("{sabotage:?} is not found with {SEEDS_MAX} seeds"))
}

#[test]
fn every_planted_fault_is_found() {
    // Their panics are what is wanted, and nobody needs to read them.
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<String> = Sabotage::ALL.into_iter().filter_map(miss).collect();
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "{missed:#?}");
}
