//! A rule, a route and an upstream: the same fields in three places, told once.

use serde::Deserialize;

use super::{
    Balance, Cors, Fault, Hash, Headers, Match, Mirror, Outliers, Pool, Protocol, ProxyProtocol,
    Redirect, Resolution, Respond, Retries, Rewrite, Share, Tls, Warmup, Weights,
};

/// Declares the three from the fields they have in common: what is done with a request, what is done besides, and
/// how the destination is called. A type of its own for each group would do, if serde could flatten it and refuse
/// unknown fields at the same time.
macro_rules! declare {
    (
        actions { $($(#[$about_action:meta])* $action:ident: $action_type:ty,)* }
        besides { $($(#[$about_other:meta])* $other:ident: $other_type:ty,)* }
        options { $($(#[$about_option:meta])* $option:ident: $option_type:ty,)* }
    ) => {
        /// A condition and where requests that fulfil it go.
        #[derive(Debug, Default, Clone, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        pub(in super::super) struct Rule {
            pub name: Option<String>,
            #[serde(rename = "match")]
            pub condition: Option<Match>,
            $($(#[$about_action])* pub $action: Option<$action_type>,)*
            $($(#[$about_other])* pub $other: Option<$other_type>,)*
            $($(#[$about_option])* pub $option: Option<$option_type>,)*
        }

        /// Hosts and what is done for them. What stands beside `rules` holds for each rule that says nothing else.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        pub(in super::super) struct Route {
            pub name: Option<String>,
            pub hosts: Vec<String>,
            /// Ports of the listeners it is served on; neither ports nor listeners: all of them.
            pub ports: Option<Vec<u16>>,
            /// Names of the listeners it is served on.
            pub listeners: Option<Vec<String>>,
            /// Tried in order; then `to` or `split`, for every other request.
            pub rules: Vec<Rule>,
            $(pub $action: Option<$action_type>,)*
            $(pub $other: Option<$other_type>,)*
            $(pub $option: Option<$option_type>,)*
        }

        /// An upstream with a name.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        pub(in super::super) struct Upstream {
            pub name: Option<String>,
            pub to: Option<String>,
            $(pub $option: Option<$option_type>,)*
        }

        impl Route {
            /// What stands beside `rules`, as the rule for every request that none of them takes.
            pub(in super::super) fn rest(&self) -> Rule {
                Rule {
                    name: None,
                    condition: None,
                    $($action: self.$action.clone(),)*
                    $($other: self.$other.clone(),)*
                    $($option: self.$option.clone(),)*
                }
            }
        }

        impl Rule {
            /// This rule, with what stands beside `rules` for everything that it does not say itself.
            pub(in super::super) fn or(self, rest: &Rule) -> Rule {
                // What is done is said as a whole: the rest's `to` must not stand beside its own `redirect`.
                let nothing = Rule::default();
                let done = if self.has_action() { &nothing } else { rest };
                Rule {
                    name: self.name,
                    condition: self.condition,
                    $($action: self.$action.or_else(|| done.$action.clone()),)*
                    $($other: self.$other.or_else(|| rest.$other.clone()),)*
                    $($option: self.$option.or_else(|| rest.$option.clone()),)*
                }
            }

            /// Whether it says what is done with a request.
            pub(in super::super) fn has_action(&self) -> bool {
                $(self.$action.is_some())||*
            }

            /// Whether it says anything about how its destination is called.
            pub(in super::super) fn has_options(&self) -> bool {
                $(self.$option.is_some())||*
            }
        }

        impl Upstream {
            /// What it says, in the fields of a rule.
            pub(in super::super) fn into_rule(self) -> Rule {
                Rule { to: self.to, $($option: self.$option,)* ..Rule::default() }
            }
        }
    };
}

declare! {
    actions {
        /// `https://host[:port]`, `http://host[:port]`, or the name of an upstream. The host `*.example.com` is the
        /// host of each request, where it lies under that name.
        to: String,
        /// Several destinations by weight, in place of `to`.
        split: Vec<Share>,
        /// Answers with another place to ask at, in place of `to`.
        redirect: Redirect,
        /// Answers with what is written here, in place of `to`.
        respond: Respond,
    }
    besides {
        /// The requests are counted under this name besides, in `egret_route_requests_total`.
        stat_prefix: String,
        /// What the path becomes.
        rewrite: Rewrite,
        timeout: String,
        retries: Retries,
        /// Who gets copies of the requests.
        mirrors: Vec<Mirror>,
        /// Which pages of other sites a browser lets read the answers.
        cors: Cors,
        /// What is put in the way of the requests, to see what comes of it.
        fault: Fault,
        /// The Host to send in place of the client's.
        host: String,
        headers: Headers,
    }
    options {
        tls: Tls,
        protocol: Protocol,
        proxy_protocol: ProxyProtocol,
        balance: Balance,
        warmup: Warmup,
        connect_timeout: String,
        idle_timeout: String,
        requests_per_connection: u32,
        pool: Pool,
        hash: Hash,
        weights: Weights,
        outliers: Outliers,
        resolution: Resolution,
        endpoints: Vec<String>,
        no_endpoints: String,
    }
}
