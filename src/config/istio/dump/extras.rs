//! What happens to some of a route's requests on the way: faults, and copies to others.
//!
//! Source: istio `core/route/route.go:TranslateFault`, `TranslateRequestMirrorPolicy`.

use serde_json::{Value, json};

use super::{TYPE, seconds};
use crate::model::{Abort, Aborted, Delay, Fault, Fraction, Mirror};

/// The settings of the fault filter for one route.
pub fn injected(fault: &Fault) -> Value {
    let mut printed = json!({ "@type": format!("{TYPE}.filters.http.fault.v3.HTTPFault") });
    if let Some(Delay { time, fraction }) = &fault.delay {
        printed["delay"] =
            json!({ "fixedDelay": seconds(*time), "percentage": percentage(*fraction) });
    }
    if let Some(Abort { answer, fraction }) = &fault.abort {
        printed["abort"] = match answer {
            Aborted::Http(status) => json!({ "httpStatus": status }),
            Aborted::Grpc(status) => json!({ "grpcStatus": status }),
        };
        printed["abort"]["percentage"] = percentage(*fraction);
    }
    printed
}

/// Who gets copies, and of how many requests.
pub fn mirror(mirror: &Mirror, cluster: &str) -> Value {
    let fraction = match mirror.fraction {
        Fraction::ALL => json!({ "numerator": 100 }), // what istiod writes when nothing is said
        fraction => percentage(fraction),
    };
    json!({ "cluster": cluster, "runtimeFraction": { "defaultValue": fraction } })
}

fn percentage(fraction: Fraction) -> Value {
    json!({ "numerator": fraction.millionths(), "denominator": "MILLION" })
}
