//! What happens to some of a route's requests on the way: faults, copies to others, and questions of browsers.
//!
//! Source: istio `core/route/route.go:TranslateFault`, `TranslateRequestMirrorPolicy`,
//! `TranslateCORSPolicy`.

use serde_json::{Value, json};

use super::routes::string_match;
use super::{TYPE, seconds};
use crate::model::{Abort, Aborted, Cors, Delay, Fault, Fraction, Mirror};

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

/// The settings of the CORS filter for one route.
pub fn shared(cors: &Cors) -> Value {
    let Cors { origins, credentials, methods, headers, exposed, max_age, answers_all } = cors;
    let mut printed = json!({
        "@type": format!("{TYPE}.filters.http.cors.v3.CorsPolicy"),
        "filterEnabled": { "defaultValue": { "numerator": 100 } },
    });
    let origins: Vec<Value> = origins.iter().filter_map(string_match).collect();
    if !origins.is_empty() {
        printed["allowOriginStringMatch"] = origins.into();
    }
    for (name, list) in
        [("allowMethods", methods), ("allowHeaders", headers), ("exposeHeaders", exposed)]
    {
        if !list.is_empty() {
            printed[name] = list.join(",").into();
        }
    }
    if let Some(seconds) = max_age {
        printed["maxAge"] = seconds.to_string().into();
    }
    if *credentials {
        printed["allowCredentials"] = true.into();
    }
    if *answers_all {
        printed["forwardNotMatchingPreflights"] = false.into();
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
