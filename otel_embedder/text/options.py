"""What may be chosen about the text; every choice is part of the text's version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from otel_embedder.fields import EmptyForNone, RoomSettings
from otel_embedder.text.template import DEFAULT_TEMPLATE, parse_template

if TYPE_CHECKING:
    from otel_embedder.text.profiles.profile import Profile

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
    *("auth$", "oauth$", "rediscli.auth", "*creds", "passkey", "psk$", "pre.shared.key"),
    *("presharedkey", "secretkey", "*secretaccesskey", "authkey", "sessionkey", "sharedkey"),
    *("signingkey", "masterkey", "encryptionkey", "priv.key", "privkey", "passw", "passwrd"),
    *("pswd", "psw", "*pw", "pword", "storepass", "keypass", "dbpass", "userpass", "adminpass"),
    *("rootpass", "sshpass$", "requirepass", "masterauth", "*passcode", "*pincode", "pin$"),
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
    *("kata.laluan", "matkhau", "mat.khau", "密碼", "パスワード", "暗証番号"),
    *("비밀번호", "암호", "סיסמה", "סיסמא", "كلمة.المرور", "كلمة.السر", "رمز.عبور", "گذرواژه"),
    *("*密码", "*口令", "mật.khẩu", "*mậtkhẩu", "лозинка", "гасло"),
    *("parool", "salasõna", "parole$", "pasahitza", "contrasinal", "lykilorð", "fjalëkalimi"),
    *("wagwoord", "nenosiri", "cyfrinair", "2fa$", "remember.me"),
)
# Raise it when the same span with the same options would get another text.
RENDERER_VERSION = 4

# The profiles that come with the package.
WORDS, TEMPLATE = "words", "template"
OWN = "own"
# What only `template` knows, by its fields here.
TEMPLATE_FIELDS = ("template", "exact_durations", "mask_values", "volatile_keys")
# What every profile keeps to.
HIDING_FIELDS = ("secret_keys", "mask_secrets")
ONLY_TEMPLATE = (
    "only the profile template knows this: leave it out, or choose that profile (profile: template)"
)


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
        profile: `words`, `template` or the path of a file; None is `words`, unless something is
            chosen that only `template` knows: the first four of these.

    """

    template: str = DEFAULT_TEMPLATE
    exact_durations: bool = False
    mask_values: bool = True
    volatile_keys: tuple[str, ...] = DEFAULT_VOLATILE_KEYS
    secret_keys: tuple[str, ...] = DEFAULT_SECRET_KEYS
    mask_secrets: bool = True
    profile: str | None = None

    def __post_init__(self) -> None:
        """Make sure that the choices go together.

        Raises:
            ValueError: one is only for another profile.

        """
        if self.profile not in {None, TEMPLATE} and (chosen := self._of_template()):
            raise ValueError(f"{', '.join(chosen)}: {ONLY_TEMPLATE}")

    def of(self, profile: str) -> RenderOptions:
        """Give the choices for a profile; what only the template knows is for that alone."""
        if profile == TEMPLATE:
            return replace(self, profile=profile)
        return RenderOptions(
            secret_keys=self.secret_keys, mask_secrets=self.mask_secrets, profile=profile
        )

    def has_stand_ins(self) -> bool:
        """Tell whether one id may stand for another: nothing is chosen that tells them apart."""
        return self.mask_values and self.secret_keys == DEFAULT_SECRET_KEYS

    def words_profile(self) -> Profile | None:
        """Give what a text of words consists of; None stands for a text by the template.

        Raises:
            ValueError: the profile's file can't be read, or says what no profile can.

        """
        # Who keeps to the template need not wait for it.
        from otel_embedder.text.profiles.profile import (  # noqa: PLC0415
            read_profile,
            words_profile,
        )

        if self.profile == TEMPLATE or (self.profile is None and self._of_template()):
            return None
        if self.profile in {None, WORDS}:
            return words_profile()
        return read_profile(Path(self.profile))

    def version(self) -> str:
        """Name the text that these options make: vectors compare only within one version.

        Raises:
            ValueError: the profile's file can't be read, or says what no profile can.

        """
        return self.version_of(self.words_profile())

    def version_of(self, profile: Profile | None) -> str:
        """Name the text of a profile that was read, with what else these options choose.

        A file may be another the next time: this and the text are to be of one reading.
        """
        if profile is None:
            return self._version(TEMPLATE, {**asdict(self), "profile": None}, asdict(DEFAULTS))
        hidden = {name: getattr(self, name) for name in HIDING_FIELDS}
        usual = {name: getattr(DEFAULTS, name) for name in HIDING_FIELDS}
        if self.profile in {None, WORDS}:
            return self._version(WORDS, hidden, usual)
        return self._version(OWN, {**hidden, "profile": profile.digest()}, {})

    @staticmethod
    def _version(name: str, chosen: dict[str, object], usual: dict[str, object]) -> str:
        """Name a profile, its version and, if they are not as usual, the choices."""
        if chosen == usual:
            return f"{name}-{RENDERER_VERSION}"
        encoded = json.dumps(chosen, sort_keys=True).encode()
        return f"{name}-{RENDERER_VERSION}.{hashlib.sha256(encoded).hexdigest()[:8]}"

    def _of_template(self) -> list[str]:
        """Give the fields that are not as usual, of those that only `template` knows."""
        return [name for name in TEMPLATE_FIELDS if getattr(self, name) != USUAL[name]]


USUAL: dict[str, object] = {
    field.name: field.default for field in fields(RenderOptions) if field.name in TEMPLATE_FIELDS
}
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


def _profile(value: str) -> str:
    RenderOptions(profile=value).words_profile()
    return value


class TextSettings(RoomSettings):
    """The same choices, as settings."""

    profile: Annotated[str, AfterValidator(_profile)] | None = Field(
        DEFAULTS.profile,
        description="What a text consists of: words, template, or a YAML file of your own. Unset, "
        "words, but for settings that only template knows.",
    )
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

    @field_validator(*TEMPLATE_FIELDS)
    @classmethod
    def _goes_with_the_profile(cls, value: object, info: ValidationInfo) -> object:
        is_usual = value == USUAL[info.field_name or ""]
        if not is_usual and info.data.get("profile") not in {None, TEMPLATE}:
            raise ValueError(ONLY_TEMPLATE)
        return value


def render_options(settings: TextSettings) -> RenderOptions:
    """Give what the settings say of the text."""
    return RenderOptions(
        template=settings.template,
        exact_durations=settings.exact_durations,
        mask_values=settings.mask_values,
        volatile_keys=settings.volatile_keys,
        secret_keys=settings.secret_keys,
        mask_secrets=settings.mask_secrets,
        profile=settings.profile,
    )
