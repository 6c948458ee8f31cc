from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otel_embedder.text.hiding.secrets import MAX_KEY_CHARACTERS, SECRET_CHARACTERS, Secrets
from otel_embedder.text.options import DEFAULT_SECRET_KEYS
from tests.support.cpu import cpu_seconds

SECRETS = Secrets(DEFAULT_SECRET_KEYS, by_look=True)
ONLY_KEYS = Secrets(DEFAULT_SECRET_KEYS, by_look=False)
ONLY_LOOKS = Secrets((), by_look=True)

# OpenTelemetry's own keys first, then what programs and their configurations call theirs.
SECRET_KEYS = """
http.request.header.authorization http.request.header.proxy-authorization
http.request.header.cookie http.response.header.set-cookie http.request.header.x-api-key
http.request.header.x-amz-security-token rpc.grpc.request.metadata.authorization
rpc.grpc.request.metadata.x-auth-token db.connection_string session.id session.previous_id
mcp.session.id db.query.parameter.password db.operation.parameter.token
process.environment_variable.DB_PASSWORD messaging.kafka.sasl.password password db.password
userPassword PASSWORD DB_PASS passwd pwd password2 password[] --password new_password
old.password password_hash password_confirmation app.passphrase apiKey api_key apikey api-key
APIKey API_KEY X-API-KEY x-goog-api-key openai.api_key secret client_secret clientSecret
aws.secret_access_key AWSAccessKeyId secretAccessKey secrets token access_token accessToken
accesstoken refresh_token id_token csrfmiddlewaretoken X-CSRF-Token token.value private_key
privateKey ssh.private_key signing_key AccountKey SharedAccessKey Ocp-Apim-Subscription-Key
x-functions-key credential gcp.credentials.json connectionString ConnectionStrings.Default
connection.string sentry.dsn session sessionid session_id JSESSIONID PHPSESSID connect.sid
cookie cookies http.request.cookies.sid headers.Authorization.0 jwt bearer sig X-Amz-Signature
X-Goog-Signature Signature otp cvv auth x-auth http.request.header.x-auth basic_auth auth.0
REDISCLI_AUTH passcode user.passcode pincode pin user_pin pinCode totp login.totp_code otp_code
mfa_code 2fa_code verification_code securityCode recovery_codes backup.code.0 wpa.psk mnemonic
code_verifier db_creds bindpw adminPw pswd storepass keypass requirepass masterauth csrf
passwort benutzerpasswort Kennwort motDePasse mot_de_passe mdp contraseña CONTRASEÑA contrasena
clave clave_acceso senha palavra-passe parola_chiave wachtwoord hasło haslo heslo пароль parol
lösenord passord adgangskode salasana jelszó şifre lozinka geslo slaptažodis κωδικός kata_sandi
密码 口令 パスワード 비밀번호 סיסמה
"""  # noqa: S105 - keys, not secrets

OTHER_KEYS = """
http.request.method http.response.status_code http.request.header.content-type
http.request.header.accept http.request.header.user-agent http.route url.full url.path url.query
server.address client.address network.peer.address db.system.name db.query.text db.query.summary
db.operation.name db.collection.name db.namespace db.user db.redis.database_index
db.cassandra.consistency_level enduser.id enduser.role enduser.scope user.name user.roles
messaging.system messaging.destination.name messaging.message.id messaging.kafka.message.key
messaging.kafka.consumer.group messaging.rabbitmq.destination.routing_key
aws.dynamodb.table_names aws.s3.key aws.s3.bucket aws.lambda.invoked_arn
aws.secretsmanager.secret.arn aws.request_id rpc.service rpc.method rpc.grpc.status_code
process.command_args process.command_line process.working_directory gen_ai.usage.input_tokens
gen_ai.usage.output_tokens gen_ai.request.max_tokens gen_ai.token.type llm.token_count.prompt
llm.token_count.completion llm.token_count.prompt_details.cache_read llm.usage.total_tokens
max_tokens token_count token_type tokens tokenizer tokenizer.name session.count session.duration
session_store cookie.name secret.name k8s.secret.name secret_manager password_policy
password.length token_expires_in_days token_file private_key_path passenger.count
passport.country compass.direction
bypass.cache pass_rate key cache.key feature_flag.key primary_key sort.key keyboard author
authority authentication.method authorization.policy authorization_endpoint token_url secretary
signal sign.in sidekiq.queue designation tls.client.issuer code.function.name exception.message
peer.service service.version thread.name monkey.patch hotkey auth.method auth.type auth.user
auth.role.name auth_service auth.latency_ms oauth.scope author_id pin.count pins spin pin_cpu
clave_primaria code status.code error_code country.code zip_code currencyCode postcode passport
parola_count passive passenger
"""


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_a_key_that_names_a_secret_is_known(key: str) -> None:
    assert SECRETS.names(key)


@pytest.mark.parametrize("key", OTHER_KEYS.split())
def test_a_key_that_names_none_is_left_alone(key: str) -> None:
    assert not SECRETS.names(key)


def test_keys_can_be_chosen_by_their_words() -> None:
    secrets = Secrets(("acme.pin", "X-*-Code", "internal*"), by_look=False)

    for key in ("acme.pin", "acmePin", "my.ACME_PIN.0", "x-door-code", "internal", "internals.a"):
        assert secrets.names(key)
    for key in ("pin", "acme.pins", "acme.x.pin", "x-code", "an.internet", "password"):
        assert not secrets.names(key)


def test_a_chosen_word_counts_even_if_it_describes() -> None:
    assert Secrets(("customer.*",), by_look=False).names("customer.name")


def test_a_letter_may_be_put_together_of_two_characters() -> None:
    assert SECRETS.names("contrasen\u0303a")


def test_a_name_may_count_at_a_keys_end_only() -> None:
    secrets = Secrets(("badge$",), by_look=False)

    for key in ("badge", "door.badge", "doorBadge", "badge[0]", "BADGES_badge"):
        assert secrets.names(key)
    for key in ("badge.holder", "badges", "badge_color"):
        assert not secrets.names(key)
    assert secrets.hidden("badge=blue badge: 17b4") == "badge=<secret> badge: <secret>"
    assert secrets.hidden("badge: blue was lost") == "badge: blue was lost"
    assert secrets.hidden('["badge", "blue"]') == '["badge", "blue"]'


@pytest.mark.parametrize("key", ["db.user", "user", "userName", "user.name", "login"])
def test_the_password_behind_a_user_is_hidden(key: str) -> None:
    assert SECRETS.shown(key, "ann:hunter2") == "ann:<secret>"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("user", "1000:1000"),
        ("user.name", "system:serviceaccount:default:shop"),
        ("user.name", "kube:admin"),
        ("user", "https://ann"),
        ("user", "ann: not known"),
        ("server.address", "ann:hunter2"),
    ],
)
def test_what_is_no_password_behind_a_user_stays(key: str, value: str) -> None:
    assert SECRETS.shown(key, value) == value


def test_no_key_names_a_secret_if_none_is_to() -> None:
    secrets = Secrets((), by_look=False)

    assert not secrets.names("password")
    assert secrets.hidden("password=hunter2") == "password=hunter2"


def test_of_a_long_key_its_last_words_count() -> None:
    assert SECRETS.names(f"{'a.' * MAX_KEY_CHARACTERS}password")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        # JSON, and JSON in JSON
        ('{"password": "hunter2"}', '{"password": <secret>}'),
        ('{"a":1,"password":"hun\\"ter2","b":2}', '{"a":1,"password":<secret>,"b":2}'),
        ('{"token":["hunter2","x"],"b":2}', '{"token":<secret>,"b":2}'),
        ('{"session":{"a":{"b":"]hunter2"}},"b":2}', '{"session":<secret>,"b":2}'),
        ('{"token":12345,"b":2}', '{"token":<secret>,"b":2}'),
        (r"{\"token\":\"hunter2\",\"b\":2}", r"{\"token\":<secret>,\"b\":2}"),
        (r"{\"token\":\"hun\\\"ter2\",\"b\":2}", r"{\"token\":<secret>,\"b\":2}"),
        ('{"name":"DB_PASSWORD","value":"hunter2"}', '{"name":"DB_PASSWORD","value":<secret>}'),
        ('{"token":"hunter', '{"token":<secret>'),
        ('{"token":{"a":"hunter', '{"token":<secret>'),
        # as languages write them
        ("{'password': 'it\\'s', 'b': 2}", "{'password': <secret>, 'b': 2}"),
        ("{password=hunter2, b=2}", "{password=<secret>, b=2}"),
        ('{"password"=>"hunter2"}', '{"password"=><secret>}'),
        ("(b'authorization', b'Basic hunter2')", "(b'authorization', <secret>)"),
        ("password := `hunter2`", "password := <secret>"),
        ("password: hun;ter&2 b", "password: <secret> b"),
        ("db.password: hunter2", "db.password: <secret>"),
        # queries, forms and URLs
        ("a=b&token=hunter2&c=d", "a=b&token=<secret>&c=d"),
        ("https://shop/?a=b&access_token=hunter2", "https://shop/?a=b&access_token=<secret>"),
        ("user[password]=hunter2&a=b", "user[password]=<secret>&a=b"),
        ("user%5Bpassword%5D=hunter2&a=b", "user%5Bpassword%5D=<secret>&a=b"),
        ("%22password%22%3A%22hunter2%22", "%22password%22%3A<secret>"),
        ("X-Amz-Signature=hunter2&X-Amz-Date=1", "X-Amz-Signature=<secret>&X-Amz-Date=1"),
        # connection strings
        ("Server=db;Password=hunter2;User=ann", "Server=db;Password=<secret>;User=ann"),
        ("host=db password='hun ter2' user=ann", "host=db password=<secret> user=ann"),
        ("AccountName=a;AccountKey=hunter2==", "AccountName=a;AccountKey=<secret>"),
        # command lines
        ("mysql --password hunter2 -u ann", "mysql --password <secret> -u ann"),
        ("mysql --password=hunter2 -u ann", "mysql --password=<secret> -u ann"),
        ("tool -token 'hunter 2' run", "tool -token <secret> run"),
        ('["tool","--token","hunter2","run"]', '["tool","--token",<secret>,"run"]'),
        ("--token hunter2", "--token <secret>"),
        ("tool '--token=hun ter2' -b", "tool '--token=<secret>' -b"),
        ("""tool --token 'hun'"'"'ter2' -b""", "tool --token <secret> -b"),
        ("tool --token hun,ter=2 -b", "tool --token <secret> -b"),
        ("DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=<secret> ./run"),
        (
            "curl -H 'Authorization: Basic hunter2' http://shop",
            "curl -H 'Authorization: <secret>' http://shop",
        ),
        # headers
        ("Authorization: Bearer hunter2", "Authorization: <secret>"),
        ("A: b\r\nCookie: a=hunter2; b=c\r\nC: d", "A: b\r\nCookie: <secret>\r\nC: d"),
        ("A: b Cookie: a=hunter2; b=c C: d", "A: b Cookie: <secret> C: d"),
        (
            'Authorization: Digest username="ann", realm="the shop", response="hunter2"',
            "Authorization: <secret>",
        ),
        (r'{"a":"b\nauthorization: hunter2\nc: d"}', r'{"a":"b\nauthorization: <secret>\nc: d"}'),
        ("authorization=Bearer hunter2 a=b", "authorization=<secret> a=b"),
        ("x-api-key: hunter2", "x-api-key: <secret>"),
        # words, XML
        ("api key: hunter2", "api key: <secret>"),
        ("password: token: hunter2", "password: <secret> <secret>"),
        ("password=hun,ter(2)! is wrong", "password=<secret> is wrong"),
        ("(password=hunter2), b=c", "(password=<secret>), b=c"),
        ("password=a<2>hunter2 b", "password=<secret> b"),
        ("<b>password=hunter2</b>", "<b>password=<secret></b>"),
        ("password=true.hunter2 b", "password=<secret> b"),
        ("password=(hun)ter2 b", "password=<secret> b"),
        ("""password='hun'ter2 b""", "password=<secret> b"),
        (
            '<w:Password Type="a">hunter2</w:Password><b>c</b>',
            '<w:Password Type="a"><secret></w:Password><b>c</b>',
        ),
        ("<password>hunter2", "<password><secret>"),
        ("<secret>hunter2</secret>", "<secret><secret></secret>"),
    ],
)
def test_what_follows_a_secrets_name_is_hidden(text: str, hidden: str) -> None:
    assert ONLY_KEYS.hidden(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "Unexpected token < in JSON at position 0",
        "the password is wrong",
        "Bearer token expired",
        "GET /oauth/token",
        "password=",
        "token=&a=b",
        "password: null",
        '{"token": null, "valid": true}',
        "token=true",
        "std::token::Expired",
        "http://token:8080/a",
        "session-store:6379",
        "token_count=12",
        "a=b c: d",
        "--verbose --token",
        '["password"]',
        '{"grant_type":"password","scope":"a"}',
    ],
)
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    assert SECRETS.hidden(text) == text


BASE64 = "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8"
HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "secret",
    [
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{BASE64}",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdW",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ASIA" + "IOSFODNN7EXAMPLE",
        f"ghp_{BASE64}",
        f"github_pat_{BASE64}",
        f"glpat-{BASE64}",
        "xoxb-123456789012-123456789012-abcdef",
        f"hooks.slack.com/services/T0000/B0000/{BASE64}",
        f"sk_live_{BASE64}",
        f"whsec_{BASE64}",
        f"sk-{BASE64}",
        f"sk-ant-api03-{BASE64}",
        f"AIza{BASE64}",
        f"ya29.{BASE64}",
        f"GOCSPX-{BASE64}",
        f"SG.{BASE64}.{BASE64}",
        f"SK{HEX}",
        f"key-{HEX}",
        f"npm_{BASE64}",
        f"hf_{BASE64}",
        f"dop_v1_{HEX}{HEX}",
        f"hvs.{BASE64}",
        f"1234567890:AA{BASE64}",
        "Bearer hunter2",
        "bearer swordfish",
        "Basic " + "aHVudGVyMjpodW50ZXIy",
        f"-----BEGIN RSA PRIVATE KEY-----\n{BASE64}\n{BASE64}==\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\\n{BASE64}",
        f"-----BEGIN EC PRIVATE KEY-----\nDEK-Info: AES-128-CBC,{HEX}\n{BASE64}",
    ],
)
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(secret: str) -> None:
    assert ONLY_LOOKS.hidden(secret) == "<secret>"
    assert ONLY_LOOKS.hidden(f"no, {secret}") == "no, <secret>"
    assert ONLY_LOOKS.hidden(f'{{"a":"{secret}') == '{"a":"<secret>'


@pytest.mark.parametrize("before", ["a%3D", r'{"a":"b\n', "_", '"'])
@pytest.mark.parametrize("secret", [f"ghp_{BASE64}", "Bearer hunter2", "bearer%20hunter2"])
def test_a_look_is_known_behind_whatever_ends_a_word(before: str, secret: str) -> None:
    assert ONLY_LOOKS.hidden(f"{before}{secret}") == f"{before}<secret>"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgres://ann:hunter2@db:5432/shop", "postgres://<secret>@db:5432/shop"),
        ("redis://:hunter2@cache", "redis://<secret>@cache"),
        ("https://ann:hun@te/r2@shop.example/a", "https://<secret>@shop.example/a"),
        (f"https://{BASE64}@shop.example/a", "https://<secret>@shop.example/a"),
        ("ann:hunter2@tcp(db:3306)/shop", "<secret>@tcp(db:3306)/shop"),
        ("as ann:hunter2@db", "as <secret>@db"),
    ],
)
def test_the_user_in_an_address_is_hidden(text: str, hidden: str) -> None:
    assert ONLY_LOOKS.hidden(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "http://shop:8080/cart@2",
        "ssh://git@github.example/shop.git",
        "mailto:ann@shop.example",
        "ann@shop.example",
        "nginx:1.25@sha256:0123",
        "git@github.example:shop/cart",
        "Bearer authentication is needed",
        "basic authentication failed",
        "the basic plan",
        "sk-learn",
        "task-0123456789012345678901234567890123456789",
        "-----BEGIN CERTIFICATE-----",
        "AKIA123456",
        "a very-long-name-with-many-words",
    ],
)
def test_what_looks_a_little_like_a_secret_stays(text: str) -> None:
    assert ONLY_LOOKS.hidden(text) == text


# As many makers have them, and some that nobody has; none of them is in a list of ours.
MIXED = "9fK2mQ7xL4vB8nR1tY6w"
LOWER = "4bf92f3577b34da6a3ce929d0e0e4736"
SHAPED = [
    f"gsk_{MIXED}{MIXED}",
    f"lsv2_pt_{LOWER}_1a2b3c4d5e",
    f"r8_{MIXED}{MIXED[:17]}",
    f"sntryu_{LOWER}{LOWER}",
    f"sbp_{LOWER}1a2b3c4d",
    f"phc_{MIXED}{MIXED}abc",
    f"figd_{MIXED[:12]}-{MIXED[:9]}_{MIXED}",
    f"bkua_{LOWER}",
    f"nfp_{MIXED}{MIXED[:16]}",
    f"dckr_pat_{MIXED[:9]}-{MIXED[:9]}_{MIXED[:7]}",
    f"xai-{MIXED}{MIXED}",
    f"pplx-{LOWER}",
    f"nvapi-{MIXED}_{MIXED}",
    f"acme_{MIXED}",
    f"acme_live_{MIXED}",
    f"a1_{LOWER}",
    f"ourVeryOwnTokens_{MIXED}",
    f"acme-{MIXED}",
    f"acme-pat-{MIXED}{MIXED}",
    f"acme_{MIXED[:9]}-{MIXED[3:14]}_{MIXED[5:]}",
    f"acme-live-{MIXED[:12]}-{MIXED[:9]}_{MIXED}",
    f"acme_{MIXED}+{MIXED}==",
    f"xkeysib-{LOWER}{LOWER}-{MIXED[:16]}",
    f"pul-{LOWER}1a2b3c4d",
    f"fm2_{MIXED}/{MIXED}+{MIXED}",
    "tok_abcdef0123456789abcdef0123456789",
    "tok_QWRtaW5zLVpXcVBsT2tl",
    "tok_UmFuZG9tVG9rZW5GcmV1",
    "TOK_7QYV3ZKX2MWR5TNB4JHC",
]

# What programs, databases and clusters call their things.
NAMES = """
snake_case_names_with_2_numbers test_that_20_users_may_log_in_at_once_v2 utf8_general_ci
utf8mb4_unicode_520_ci x86_64_unknown_linux_gnu_v2_1_3 get_oauth2authorizationcode_flow
E_Message_ExtensionDefaultedSfixed64 Default_TestAllTypesProto2Editions_DefaultFixed32
Proto3FieldSemanticsService_GetFilter_0 handle_Http2ServerConnectionManager
sodium_crypto_pwhash_scryptsalsa208sha256_str_verify MsV1_0Lm20GetChallengeResponse
set_s3UsEast1RegionalEndpoints parse_ISO8601DateTimeFormatter ETHTOOL_LINK_MODE_200000baseLR2_ER2
cipher_TLS_DH_anon_WITH_RC4_128_MD5 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 MAX_HTTP2_STREAMS_V2
ERR_SSL_VERSION_OR_CIPHER_MISMATCH_2 SCREAMING_CASE_CONSTANT_NUMBER_42 HTTP_X_FORWARDED_FOR_IPV4
customer_address_line_2 billing_address_2_postal_code_v1 idx_orders_customer_id_created_at_2024
order_items_2024_05_01_partition_12 fk_orders_7_customers_3 app.models.user_profile_v2.load_1
/usr/lib/python3.11/site-packages/sqlalchemy_utils2/types.py:42 otel_collector_contrib_0_161_0
postgres_exporter_pg14_bin k8s_deployment_shop_checkoutservice2 p99_latency_ms_over_5m_window
__attribute2__ feature_flag_2025_q3_rollout_50_percent en_US_UTF8 node_cpu_seconds_total_5m_avg
all_MiniLM_L6_v2 sha256_of_the_file base64_urlsafe_encode md5_hex_digest_2 run_20240501
version_20240501120000123456 v1beta1_customresourcedefinition2 TestClient_Response_Code100Continue
"""


@pytest.mark.parametrize("secret", SHAPED)
def test_a_secret_of_any_maker_is_known_by_its_shape(secret: str) -> None:
    assert ONLY_LOOKS.hidden(secret) == "<secret>"
    assert ONLY_LOOKS.hidden(f"no, {secret}!") == "no, <secret>!"
    assert ONLY_LOOKS.hidden(f'{{"a":"{secret}","b":1}}') == '{"a":"<secret>","b":1}'
    assert ONLY_LOOKS.hidden(f"GET /a?b={secret}&c=d") == "GET /a?b=<secret>&c=d"


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_is_no_secret(name: str) -> None:
    assert SECRETS.hidden(name) == name


@pytest.mark.parametrize(
    "identifier",
    [
        f"ch_{MIXED}abcd",
        f"call_{MIXED}abcd",
        f"chatcmpl-{MIXED}{MIXED[:9]}",
        f"amq.gen-{MIXED[:11]}-{MIXED[:10]}",
        f"toolu_01{MIXED}",
        f"order-{LOWER}",
        "checkout-7d4b9c6f5d-x2x9z",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)
def test_an_id_is_no_secret(identifier: str) -> None:
    assert ONLY_LOOKS.hidden(identifier) == identifier


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=40))
def test_nothing_of_a_random_token_is_shown(token: str) -> None:
    assume(re.search(r"\d\D+\d\D+\d", token))

    assert ONLY_LOOKS.hidden(f"a tok_{token} b") == "a <secret> b"


def test_looks_can_be_switched_off() -> None:
    assert ONLY_KEYS.hidden(f"ghp_{BASE64}") == f"ghp_{BASE64}"
    assert ONLY_KEYS.hidden("4111 1111 1111 1111") == "4111 1111 1111 1111"


@pytest.mark.parametrize(
    "card",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4222222222222",
        "5555555555554444",
        "3782 822463 10005",
        "3056 930902 5904",
        "2223003122003222",
        "6011.0009.9013.9424",
    ],
)
@pytest.mark.parametrize("around", ["{}", "card {} is refused", "1234 {} 123", "no.{}/12"])
def test_a_card_reads_as_any_long_number(card: str, around: str) -> None:
    assert ONLY_LOOKS.hidden(around.format(card)) == around.format("<number>")


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111112",  # its last digit is wrong
        "1700000000000",  # a time
        "0.4111111111111111",
        "41111111111111110000",  # too long
        "4111 1111 1111",
        "2024-01-02",
    ],
)
def test_a_number_that_is_no_card_stays(number: str) -> None:
    assert ONLY_LOOKS.hidden(number) == number


@given(st.text(st.sampled_from("a1:=&;,'\"\\{}[]()<>@ -/._ \nT"), max_size=60))
def test_what_is_hidden_once_stays_as_it_is(noise: str) -> None:
    for text in (noise, f"{noise}password=x{noise}", f"{noise}\nAuthorization: {noise}"):
        assert SECRETS.hidden(SECRETS.hidden(text)) == SECRETS.hidden(text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_quoted_secret_is_hidden_in_any_company(before: str, after: str) -> None:
    assert "hunter2" not in SECRETS.hidden(f'{before} "password": "hunter2" {after}')


@given(st.integers(0, SECRET_CHARACTERS))
def test_of_a_secret_that_is_cut_off_no_more_than_can_be_dropped_is_seen(room: int) -> None:
    for secret in (f"ghp_{BASE64 * 50}", f"eyJ{BASE64 * 50}", f"token={BASE64 * 50}"):
        hidden = SECRETS.hidden(f"{'x ' * 100}{secret[:room]}")

        assert BASE64 not in hidden[:-SECRET_CHARACTERS]
        assert room < 64 or "<secret>" in hidden


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "1", "4111 ", "a=", ":", "\\", '"', '\\"', "[", "token=[", 'token="', "token: "),
        *(
            "authorization: a",
            "authorization:  ",
            "'cookie: ",
            "cookie: a; ",
            "<a ",
            "<password ",
            "--token ",
        ),
        *("eyJabcdefghijklmnop.", "ghp_", "://a:", "://a:b", "://a:b@", "a:b@", "a@b", "bearer "),
        *("basic aA", "identified by ", "password '", "-----BEGIN PRIVATE KEY-----a-", "token,"),
        *('"password",', "%5D", "%22", "api key ", "token.count.", "aB", "token='\\", "sk-"),
        *(
            "a_",
            "a1_",
            "a-",
            "aB1-",
            "a-aB1",
            "ch_aB1",
            "a-aB1aB1aB1aB1aB1aB1aB1 ",
            "fm2_",
            "abcdefghijklmno1_",
            "aaaaA_1",
            "dckr_pat_",
            "tok_aaaaaaaaaaaaaaaaaaaa1",
        ),
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (256 * 1024 // len(piece))

    assert cpu_seconds(lambda: SECRETS.hidden(f"{text}!")) < 2
