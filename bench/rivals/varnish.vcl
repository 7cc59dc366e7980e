# Varnish as a cache for the API. `cargo xtask bench compare` fills in what is in braces.
vcl 4.1;

backend default {
    .host = "{host}";
    .port = "{port}";
}

sub vcl_recv {
    if (req.http.Accept-Encoding ~ "gzip") {
        set req.http.Accept-Encoding = "gzip";
    } else {
        unset req.http.Accept-Encoding;
    }
    if (req.method == "GET" || req.method == "HEAD") {
        return (hash);
    }
    return (pass);
}

# The least that keeps one token from another's answers.
sub vcl_hash {
    hash_data(req.url);
    hash_data(req.http.Authorization);
    hash_data(req.http.Accept);
    hash_data(req.http.Accept-Encoding);
    return (lookup);
}

sub vcl_backend_response {
    unset beresp.http.Vary;
    unset beresp.http.Set-Cookie;
    set beresp.ttl = 24h;
    return (deliver);
}
