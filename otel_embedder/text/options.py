"""What may be chosen about the text; every choice is part of the text's version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from otel_embedder.fields import EmptyForNone, RoomSettings
from otel_embedder.text.template import DEFAULT_TEMPLATE, parse_template

DEFAULT_VOLATILE_KEYS = (
    *("thread.*", "process.pid", "process.parent_pid", "*.port"),
    *("*.id", "*_id", "*.ids", "*.uuid", "*.guid"),
)
# Words of a key, however it is spelt: api.key is apiKey, API_KEY and x-api-key, too.
DEFAULT_SECRET_KEYS = (
    *("*authorization", "bearer", "jwt", "*cookie", "*cookies", "*session", "*sessionid"),
    *("*sessid", "sid", "*password", "*passwords", "*passwd", "*passphrase", "*pwd", "pass"),
    *("*secret", "*secrets", "*token", "*credential", "*credentials", "api.key", "*apikey"),
    *("access.key", "*accesskey", "account.key", "*accountkey", "auth.key", "encryption.key"),
    *("functions.key", "master.key", "private.key", "*privatekey", "shared.key", "signing.key"),
    *("ssh.key", "subscription.key", "connection.string", "connection.strings"),
    *("*connectionstring", "dsn", "sig", "signature", "otp", "cvc", "cvv"),
    *("auth$", "oauth$", "rediscli.auth", "*creds", "passkey", "psk", "pre.shared.key"),
    *("presharedkey", "secretkey", "*secretaccesskey", "authkey", "sessionkey", "sharedkey"),
    *("signingkey", "masterkey", "encryptionkey", "priv.key", "privkey", "passw", "passwrd"),
    *("pswd", "psw", "*pw", "pword", "storepass", "keypass", "dbpass", "userpass", "adminpass"),
    *("rootpass", "sshpass", "requirepass", "masterauth", "*passcode", "*pincode", "pin$"),
    *("pin.code", "pin.number", "puk$", "totp", "hotp", "mfa.code", "2fa.code", "two.factor.code"),
    *("otp.code", "one.time.code", "sms.code", "verification.code", "verificationcode"),
    *("security.code", "auth.code", "authcode", "access.code", "login.code", "activation.code"),
    *("confirmation.code", "recovery.code", "recovery.codes", "backup.code", "backup.codes"),
    *("reset.code", "code.verifier", "security.answer", "recovery.phrase", "seed.phrase"),
    *("mnemonic", "csrf", "xsrf", "saml.response", "samlresponse", "client.assertion"),
    *("snmp.community", "community.string"),
    # Password, in other languages.
    *("*passwort", "*kennwort", "geheimzahl", "zugangscode", "mot.de.passe", "*motdepasse"),
    *("passe", "mdp", "*contraseña", "*contrasena", "*contrasenya", "clave$", "clave.acceso"),
    *("clave.secreta", "*senha", "palavra.passe", "palavrapasse", "chave.secreta", "parola$"),
    *("parola.chiave", "parolachiave", "parola.d.ordine", "*wachtwoord", "toegangscode"),
    *("*hasło", "*haslo", "*heslo", "*пароль", "parol", "*lösenord", "*losenord", "*passord"),
    *("adgangskode", "kodeord", "*salasana", "*jelszó", "*jelszo", "*şifre", "*sifre", "parolă"),
    *("*lozinka", "*geslo", "парола", "slaptažodis", "κωδικός", "kata.sandi", "katasandi"),
    *("kata.laluan", "matkhau", "mat.khau", "密码", "密碼", "口令", "パスワード", "暗証番号"),
    *("비밀번호", "암호", "סיסמה", "كلمة.المرور", "كلمة.السر"),
)
# Raise it when the same span with the same options would get another text.
RENDERER_VERSION = 3


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What a user may choose about the text; every choice is part of the text's version.

    Attributes:
        template: see `template`.
        exact_durations: give durations to the nanosecond instead of rounded to R5.
        mask_values: put words for ids, addresses and times; see `masks`.
        volatile_keys: patterns (`fnmatch`) of attribute keys that are left out.
        secret_keys: words of keys whose values are hidden, wherever they stand; see `secrets`.
        mask_secrets: put a word for what looks like a secret, even if `mask_values` is off.

    """

    template: str = DEFAULT_TEMPLATE
    exact_durations: bool = False
    mask_values: bool = True
    volatile_keys: tuple[str, ...] = DEFAULT_VOLATILE_KEYS
    secret_keys: tuple[str, ...] = DEFAULT_SECRET_KEYS
    mask_secrets: bool = True

    def version(self) -> str:
        """Name the text that these options make: vectors compare only within one version."""
        if self == RenderOptions():
            return str(RENDERER_VERSION)
        chosen = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{RENDERER_VERSION}.{hashlib.sha256(chosen).hexdigest()[:8]}"


DEFAULTS = RenderOptions()


def _template(value: str) -> str:
    parse_template(value)
    return value


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words), EmptyForNone()]


class TextSettings(RoomSettings):
    """The same choices, as settings."""

    template: Annotated[str, AfterValidator(_template)] = Field(
        DEFAULTS.template, description="How a span reads."
    )
    exact_durations: bool = Field(
        DEFAULTS.exact_durations, description="Give durations exactly, not rounded to R5."
    )
    mask_values: bool = Field(
        DEFAULTS.mask_values, description="Put words for ids, addresses and times."
    )
    volatile_keys: Words = Field(
        DEFAULTS.volatile_keys,
        description="Patterns of attribute keys to leave out, with commas; empty for none.",
    )
    secret_keys: Words = Field(
        DEFAULTS.secret_keys,
        description="Words of keys whose values are secret, with commas; each shows as <secret>. "
        "Empty for none.",
    )
    mask_secrets: bool = Field(
        DEFAULTS.mask_secrets,
        description="Put <secret> for what looks like one, even without mask_values.",
    )


def render_options(settings: TextSettings) -> RenderOptions:
    """Give what the settings say of the text."""
    return RenderOptions(
        template=settings.template,
        exact_durations=settings.exact_durations,
        mask_values=settings.mask_values,
        volatile_keys=settings.volatile_keys,
        secret_keys=settings.secret_keys,
        mask_secrets=settings.mask_secrets,
    )
