"""Secrets in commands: what stands between « and » must not be seen, all else must stay."""

from __future__ import annotations

import re

import pytest

from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.options import DEFAULT_SECRET_KEYS
from tests.support.cpu import cpu_seconds

SECRETS = Secrets(DEFAULT_SECRET_KEYS, by_look=True)
ONLY_KEYS = Secrets(DEFAULT_SECRET_KEYS, by_look=False)

# Redis, SMTP, IMAP, POP3, FTP, LDAP, memcached.
SERVERS = r"""
AUTH «hunter2x9»
auth «hunter2x9»
auth appuser «hunter2x9»
AUTH "appuser" «"hunter2x9"»
"AUTH" "appuser" «"hunter2x9"»
['AUTH', 'appuser', «'hunter2x9'»]
["AUTH",«"hunter2x9"»]
AUTH «hunter2x9:» WRONGPASS invalid username-password pair
AUTH «appuser hunter2x9» rejected by server 3
AUTH default «hunter2x9»
"AUTH" "default" «"hunter2x9"»
auth default «hunter2x9»
AUTH default «secretword»
AUTH default «hunter2x9» rejected
unable to send command! command: (AUTH), params: «[appuser, hunter2x9]», Retry 3
addauth digest super:«hunter2x9»
etcdctl user add bob:«hunter2x9»
ldap_simple_bind(ld, "cn=admin,dc=x", «"hunter2x9"»)
ldapbind -D cn=admin,dc=x -w «hunter2x9»
ERR unknown command 'AUTH «hunter2x9»'
Error: command AUTH «hunter2x9» failed
ReplyError: WRONGPASS { command: 'AUTH', args: «[ 'hunter2x9' ]» }
redis: AUTH appuser «hunter2x9;» PING
*2\r\n$4\r\nAUTH\r\n$11\r\n«hunter2x9\r\n»
HELLO 3 AUTH appuser «hunter2x9»
hello 3 auth appuser «hunter-hunter2x9» setname web
HELLO 2 AUTH default «hunter2x9» SETNAME x
CONFIG SET requirepass «"hunter2x9"»
config set requirepass «hunter2x9»
CONFIG SET maxmemory 1 requirepass «hunter2x9»
CONFIG REWRITE requirepass «hunter2x9»
'CONFIG' 'SET' 'masterauth' «'hunter2x9'»
SENTINEL SET mymaster auth-pass «hunter2x9»
sentinel auth-pass mymaster «hunter2x9»
ACL SETUSER bob on >«hunter2x9» ~* +@all
ACL SETUSER bob on <«hunter2x9»
acl setuser bob reset +@all #«hunter2x9» >«hunter2x9»
"ACL" "SETUSER" "bob" "on" ">«hunter2x9»" "~*"
ERR Error in ACL SETUSER modifier '>«hunter2x9»': Syntax
user bob on >«hunter2x9» ~* +@all
MIGRATE 10.0.0.1 6379 key 0 5000 AUTH «hunter2x9» KEYS k1
MIGRATE 10.0.0.1 6379 key 0 5000 AUTH2 appuser «hunter2x9»
MIGRATE 10.0.0.1 6379 "" 0 5000 COPY REPLACE AUTH2 appuser «hunter2x9» KEYS a b
AUTH PLAIN «hunter2x9»
AUTH LOGIN «hunter2x9»
AUTHENTICATE PLAIN «hunter2x9»
a1 AUTHENTICATE PLAIN «hunter2x9»
auth xoauth2 «hunter2x9»
535 5.7.8 Error: authentication failed: AUTH PLAIN «hunter2x9»
PASS «hunter2x9»
"PASS «hunter2x9»"
530 Login incorrect (PASS «hunter2x9»)
Command 'PASS «hunter2x9»' failed: 530 not logged in
a001 LOGIN bob «hunter2x9»
A1 LOGIN "bob" «"hunter2x9"»
login bob «hunter2x9»
APOP bob «hunter2x9»
bind cn=admin,dc=example,dc=com «hunter2x9»
simple_bind_s('cn=admin,dc=x', «'hunter2x9'»)
ldap_bind($conn, "cn=admin,dc=x", «"hunter2x9"»)
ldap bind uid=bob,dc=x with password «hunter2x9»
ldapsearch -x -D "cn=admin,dc=x" -w «hunter2x9» -b dc=x
ldapwhoami -w«hunter2x9»
bindpw «hunter2x9»
rootpw «hunter2x9»
"""

DATABASES = r"""
CREATE USER bob IDENTIFIED BY «hunter2x9»
create user bob identified by «'hunter2x9'»
create user bob identified by «hunter»
CREATE USER 'bob'@'%' IDENTIFIED BY PASSWORD «'*hunter2x9'»
ALTER USER bob IDENTIFIED BY «hunter2x9» REPLACE «oldhunter2x9»
ALTER USER 'bob' IDENTIFIED BY «'x'» REPLACE «'hunter2x9'»
ALTER USER bob IDENTIFIED WITH mysql_native_password AS «'*hunter2x9'»
CREATE USER bob IDENTIFIED VIA mysql_native_password USING PASSWORD(«'hunter2x9'»)
CREATE USER bob IDENTIFIED WITH sha256_password BY «'hunter2x9'»
GRANT ALL ON *.* TO bob IDENTIFIED BY «'hunter2x9'»
GRANT ALL ON *.* TO bob IDENTIFIED BY «"hunter2x9 hunter2x9"»
SET PASSWORD = «'hunter2x9'»
SET PASSWORD FOR 'bob'@'localhost' = PASSWORD(«'hunter2x9'»)
SET PASSWORD FOR bob@localhost = «'hunter2x9'»
set password for bob = «hunter2x9»
SET PASSWORD = «PASSWORD('hunter2x9»')
ALTER ROLE bob WITH ENCRYPTED PASSWORD «'hunter2x9'»
ALTER ROLE bob PASSWORD «'md5hunter2x9'»
CREATE ROLE bob LOGIN PASSWORD «'hunter2x9'» VALID UNTIL 'infinity'
CREATE ROLE bob WITH LOGIN PASSWORD «hunter2x9»
create user bob with password «'hunter2x9'»
create user bob with password «hunterhunter2x9»
create user bob password «hunter2x9»
ALTER USER bob SET PASSWORD «hunter2x9»
ALTER USER bob PASSWORD «E'hunter2x9'»
ALTER USER bob PASSWORD «$$hunter2x9 hunter2x9$$»
ALTER USER bob PASSWORD «$q$hunter2x9's$q$»
ALTER CURRENT USER SET PASSWORD FROM «'hunter2x9'» TO «'xhunter2x9'»
CREATE LOGIN bob WITH PASSWORD = «'hunter2x9'»
INSERT INTO users (name, "password") VALUES ('bob', «'hunt''er2'»)
insert into u (password, a) values («md5('hunter2, x')», 1), («'hunter2'», (2))
INSERT INTO u (a, token, b) VALUES (f(1, 2), «'hunter2'», 'x'
EXEC sp_addlogin 'bob', «'hunter2'»
EXEC sp_password NULL, «'hunter2'», 'bob'
CALL login('bob', «'hunter2'»)
CREATE LOGIN bob WITH PASSWORD = «N'hunter2x9 hunter2x9'», DEFAULT_DATABASE = shop
ALTER LOGIN bob WITH PASSWORD = «'x'» OLD_PASSWORD = «'hunter2x9'»
ALTER LOGIN bob WITH PASSWORD=«'hunter2x9'» MUST_CHANGE
CREATE MASTER KEY ENCRYPTION BY PASSWORD = «'hunter2x9'»
OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = «'hunter2x9'»
CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password «'hunter2x9'»)
SELECT * FROM dblink('host=db user=bob password=«hunter2x9» dbname=shop', 'SELECT 1')
SELECT dblink_connect('host=db password=«hunter2x9»')
CREATE SUBSCRIPTION s CONNECTION 'host=db user=bob password=«hunter2x9»' PUBLICATION p
CHANGE MASTER TO MASTER_USER='bob', MASTER_PASSWORD=«'hunter2x9'»
CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD = «'hunter2x9'»
CREATE DATABASE LINK l CONNECT TO bob IDENTIFIED BY «hunter2x9» USING 'tns'
CONNECT bob/«hunter2x9»@shop
CONN bob/«hunter2x9»
connect bob/«"hunter2x9"»@shop
sqlplus bob/«hunter2x9»@//db:1521/orcl
sqlplus -s bob/«hunter2x9»@shop @script.sql
impdp bob/«hunter2x9»@shop directory=x
impdp userid=bob/«hunter2x9»@shop
jdbc:oracle:thin:bob/«hunter2x9»@dbhost:1521:orcl
jdbc:oracle:oci:bob/«hunter2x9»@tns
jdbc:oracle:thin:bob/«hunter2x9»@//dbhost:1521/orcl
jdbc:sqlserver://db:1433;user=bob;password=«hunter2x9»;encrypt=true
jdbc:sqlserver://db:1433;user=bob;password=«{hunter2x9;x}»;encrypt=true
jdbc:mysql://db/shop?user=bob&password=«hunter2x9»
jdbc:mysql://«bob:hunter2x9»@db/shop
jdbc:db2://db:50000/shop:user=bob;password=«hunter2x9»;
COPY t FROM 's3://b' CREDENTIALS «'aws_access_key_id=x;aws_secret_access_key=hunter2x9'»
COPY t FROM 's3://b' ACCESS_KEY_ID «'x'» SECRET_ACCESS_KEY «'hunter2x9'»
SELECT pgp_sym_decrypt(data, «'hunter2x9'») FROM t
SELECT crypt(«'hunter2x9'», gen_salt('bf'))
SELECT * FROM u WHERE pw = «md5('hunter2x9»')
INSERT INTO u VALUES (1, sha2(«'hunter2x9'», 256))
select AES_ENCRYPT('x',«'hunter2x9'»)
UPDATE users SET password = «'hunter2x9'» WHERE id = 1
UPDATE users SET pwd=«'hunter2x9'»
db.auth("bob", «"hunter2x9"»)
db.createUser({user: "bob", pwd: «"hunter2x9"», roles: []})
db.changeUserPassword("bob", «"hunter2x9"»)
"""

SHELLS = r"""
mysql -u bob -p«hunter2x9» shop
mysqldump --user=bob --password=«hunter2x9» shop
/usr/bin/mysql -ubob -p«'hunter2x9'» shop
["mysql","-u","bob","-p«hunter2x9»","shop"]
[mysql, -u, bob, -p«hunter2x9», shop]
mariadb-dump -p«hunter2x9» x
kubectl exec mysql-0 -- mysql -uroot -p«hunter2x9» -e 'select 1'
docker exec db mysql -uroot -p«hunter2x9»
sh -c "mysql -uroot -p«hunter2x9»"
mongo -u bob -p «hunter2x9» --authenticationDatabase admin
mongodump --host h -u bob -p«hunter2x9»
sshpass -p «hunter2x9» ssh -p 22 web-1
['sshpass', '-p', «'hunter2'», 'ssh', 'web-1']
net use z: \\h\s «hunter2» /user:bob
sshpass -p«hunter2x9» scp a b:
sshpass -p «'hunter2x9 hunter2x9'» ssh web-1
redis-cli -a «hunter2x9» ping
redis-cli -h r -p 6379 -a «hunter2x9» ping
redis-cli --pass «hunter2x9» ping
redis-cli -u redis://«bob:hunter2x9»@r:6379
valkey-cli -a «hunter2x9»
docker login -u bob -p «hunter2x9» registry.example
helm registry login -u bob -p «hunter2x9» r.example
curl -u «bob:hunter2x9» https://api.example
curl -sSLu «bob:hunter2x9» https://api.example
curl -vu «bob:hunter2x9» https://api.example
vault login «hunter2x9»
ngrok config add-authtoken «hunter2x9»
twine upload -u bob -p «hunter2x9» dist
beeline -u jdbc:hive2://db -n bob -p «hunter2x9»
wpa_passphrase home «hunter2x9»
ConvertTo-SecureString «'hunter2x9'» -AsPlainText -Force
PRAGMA key = «'hunter2x9'»
ATTACH DATABASE 'x.db' AS e KEY «'hunter2x9'»
curl -u«bob:hunter2x9» https://api.example
curl --user «bob:hunter2x9» https://api.example
curl --user=«bob:hunter2x9» https://api.example
curl -s -u «"bob:hunter2x9 hunter2x9"» https://api.example
curl -x proxy:3128 -U «bob:hunter2x9» https://api.example
curl --proxy-user «bob:hunter2x9» https://api.example
curl -H "X-Auth: «hunter2x9»" https://api.example
[curl, -u, «bob:hunter2x9», https://api.example]
curl https://«bob:hunter2x9»@api.example
wget --user=bob --password=«hunter2x9» https://x
PGPASSWORD=«hunter2x9» psql -h db
export PGPASSWORD=«'hunter2x9'»
MYSQL_PWD=«hunter2x9» mysql
REDISCLI_AUTH=«hunter2x9» redis-cli
sqlcmd -S db -U sa -P «hunter2x9» -Q "select 1"
sqlcmd -U sa -P«hunter2x9»
unzip -P «hunter2x9» a.zip
mosquitto_pub -u bob -P «hunter2x9» -t t
openssl rsa -in k.pem -passin pass:«hunter2x9»
openssl enc -aes-256-cbc -k «hunter2x9» -in a
openssl pkcs12 -passout «"pass:hunter2x9"» -export
keytool -storepass «hunter2x9» -keypass «hunter2x9» -list
ldapsearch -D cn=x -w «"hunter2x9"»
rabbitmqctl add_user bob «hunter2x9»
rabbitmqctl change_password bob «hunter2x9»
htpasswd -b /etc/htpasswd bob «hunter2x9»
htpasswd -cb f bob «hunter2x9»
net user bob «hunter2x9» /add
aws configure set aws_secret_access_key «hunter2x9»
npm config set //registry.example/:_authToken «hunter2x9»
kubectl create secret generic x --from-literal=password=«hunter2x9»
kubectl create secret generic x --from-literal=db=«hunter2x9»
echo «hunter2x9» | docker login --password-stdin
echo «'hunter2x9'» | sudo -S ls
smbclient //h/s -U «bob%hunter2x9»
lftp -u «bob,hunter2x9» ftp.example
http -a «bob:hunter2x9» example.org
7z x -p«hunter2x9» a.7z
psexec \\h -u bob -p «hunter2x9» cmd
xfreerdp /u:bob /p:«hunter2x9» /v:h
plink -pw «hunter2x9» h
snmpwalk -v2c -c «hunter2x9» host
gpg --batch --passphrase «hunter2x9» -d f
"""

ADDRESSES_AND_WORDS = r"""
amqp://«bob:hunter2x9»@mq:5672/shop
mongodb+srv://«bob:hunter2x9»@c.example/shop
Server=db;Database=shop;Uid=bob;Pwd=«hunter2x9»;
Driver={ODBC Driver 18};Server=db;UID=bob;PWD=«{hunter2x9}»;
Data Source=db;User ID=bob;Password=«hunter2x9»
Endpoint=sb://x.servicebus/;SharedAccessKeyName=Root;SharedAccessKey=«hunter2x9»
DefaultEndpointsProtocol=https;AccountName=a;AccountKey=«hunter2x9»
AccountEndpoint=https://x;AccountKey=«hunter2x9»;
sftp://«bob:hunter2x9»@h/x
ldap://«cn=bob:hunter2x9»@h
host=db user=bob password=«hunter2x9»
password is «hunter2x9»
password «hunter2x9»
with password «"hunter2x9"»
passwort: «hunter2x9»
auth: «hunter2x9»
auth=«hunter2x9»
{"auth":«"hunter2x9"»}
X-Auth: «hunter2x9»
pin: «4711»
{"pin":«"hunter2x9"»}
<auth mechanism="PLAIN">«hunter2x9»</auth>
contraseña: «hunter2x9»
contraseña=«hunter2x9»
mot de passe: «hunter2x9»
mot_de_passe=«hunter2x9»
senha: «hunter2x9»
hasło: «hunter2x9»
пароль: «hunter2x9»
пароль=«hunter2x9»
wachtwoord=«hunter2x9»
parolachiave=«hunter2x9»
clave=«hunter2x9»
{"密码":«"hunter2x9"»}
parola d'ordine: «hunter2x9»
jdbc:oracle:thin:bob/«hunt@er2»@dbhost:1521:orcl
"""

# What ends in a line's end, or has a NUL in it.
WIRES = (
    "*3\r\n$4\r\nAUTH\r\n$3\r\nbob\r\n$7\r\n«hunter2»\r\n",
    "PASS «hunter2»\r\n",
    "a1 LOGIN bob «hunter2»\r\na2 SELECT INBOX",
    "set auth_x 0 0 11\r\nbob «hunter2»\r\n",
    "PLAIN \0bob\0«hunter2»",
)

OTHERS = r"""
GET auth:counter
SET greeting hello
auth service answered 503
AUTH failed
AUTH default user is disabled
auth default handler missing
vault login failed
vault login -method=userpass
ls -lu names
PRAGMA foreign_keys = 1
attach database x
AUTH TLS
nodes are identified by their fully qualified name
it is identified by four values
Pass `verbosity=1` to get a table
exp w/o mask
AUTH command failed
NOAUTH Authentication required.
NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO
<proto> AUTH <user> <pass> option can be used to authenticate the client
WRONGPASS invalid username-password pair or user is disabled.
ERR AUTH <password> called without any password configured for the user
ERR Client sent AUTH, but no password is set
SMTP AUTH extension not supported by server.
AUTH LOGIN failed
AUTH PLAIN not supported
AUTH ?
AUTH
auth
auth failed
auth: invalid token
auth: token expired
PASS
login failed
login page not found
LOGIN FAILED FOR user
Login failed for user 'bob'.
user login
bind: address already in use
bind() to 0.0.0.0:80 failed
failed to bind to port=8080
cannot bind parameter id=5 to statement
mkdir -p /var/lib/shop
docker run -p 8080:80 shop
docker run -p 3306:3306 mysql:8
sort -u names
ssh -p 2222 web-1
psql -p 5432 -U bob shop
redis-cli -p 6379 ping
mysql -u bob -P 3306 shop
mysql -u bob -p shop
curl -u bob https://api.example
ps -p 123
kubectl -n shop get pods
tar -xzf a.tar
grep -u x
ALTER USER bob PASSWORD EXPIRE
ALTER USER bob PASSWORD EXPIRE INTERVAL 90 DAY
CREATE USER bob IDENTIFIED BY RANDOM PASSWORD
CREATE USER bob IDENTIFIED EXTERNALLY
SET PASSWORD FOR bob TO RANDOM
password authentication failed for user "bob"
FATAL: password authentication failed for user bob
the password is wrong
password must have 8 characters
invalid password
Password reset email sent
Enter password for bob
password policy requires 12 characters
REPLACE INTO t VALUES (?)
CONNECT shop.example:443
connect timeout/retry
CONNECT /ws/path
connect ECONNREFUSED 10.0.0.9:5432
actions/checkout@v4
npm @scope/pkg@1.2.3
import/export@x
Unexpected token '<', "<!DOCTYPE "... is not valid JSON
SELECT md5(name) FROM t
SELECT password FROM users WHERE id = ?
INSERT INTO users (name, password) VALUES (?, ?)
ACL WHOAMI
ACL SETUSER bob on nopass ~* +@all
user > 5
if user on <b>
git commit -p
opening pin 5
pin-board
spinning
GET /auth/login
auth.method=oauth2
auth.type=basic
user on -> off
LOGIN with password failed
echo hello | grep x
net user not found
OAuth: invalid_grant
basic auth failed for user bob
author: Ann
authority: shop
compass: north
bypass: yes
set a 0 0 5
config set maxmemory 100
CONFIG GET requirepass
kubectl create configmap x
key pairs
mapping: a
"""


def lines(*blocks: str) -> list[str]:
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.mark.parametrize(
    "marked", [*lines(SERVERS, DATABASES, SHELLS, ADDRESSES_AND_WORDS), *WIRES]
)
def test_the_secret_in_a_command_is_hidden(marked: str) -> None:
    text = marked.replace("«", "").replace("»", "")

    assert SECRETS.hidden(text) == re.sub("«[^»]*»", "<secret>", marked)


@pytest.mark.parametrize("text", lines(OTHERS))
def test_what_is_no_secret_in_a_command_stays(text: str) -> None:
    assert SECRETS.hidden(text) == text


def test_what_stands_for_a_secret_stays() -> None:
    for text in ("AUTH ?", "AUTH appuser ***", "PASS %s", "IDENTIFIED BY ?", "AUTH <password>"):
        assert SECRETS.hidden(text) == text


def test_a_command_is_a_look() -> None:
    assert ONLY_KEYS.hidden("AUTH hunter2") == "AUTH hunter2"


@pytest.mark.parametrize(
    "piece",
    [
        *("AUTH ", "AUTH a ", 'AUTH "', "AUTH a b ", "auth a1 ", "PASS ", "LOGIN a ", "bind a=b "),
        *(
            "ACL SETUSER >",
            "user a on >",
            "set a 1 1 1 ",
            "\0a",
            "\0",
            "password ",
            "password for a ",
        ),
        *(
            "IDENTIFIED BY ",
            "identified with a by ",
            "crypt(",
            "aes_encrypt(a,",
            "hmac(a(b",
            "PASSWORD $",
        ),
        *("CONNECT a/", "thin:a/", "thin:a/@", "sqlplus -s ", "connect a/b ", "echo a ", "echo |"),
        *(
            "mysql -p",
            "mysql ",
            "curl -u ",
            "curl -u a:",
            "sshpass -p a ",
            " -p",
            "docker login -p ",
        ),
        *("auth', args: [", "from-literal ", "--from-literal=", "config set a", "htpasswd -b a "),
        *(
            "$1\r\n",
            "INSERT INTO a (token) VALUES (",
            "insert into a (",
            "INSERT INTO a (token) VALUES ('a'), (",
            "sp_password a, ",
            "AUTH\r\n$1\r\n",
            "auth\\r\\n",
            ' -w "',
            "ldapsearch -w ' ",
        ),
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (64 * 1024 // len(piece))

    assert cpu_seconds(lambda: SECRETS.hidden(f"{text}!")) < 1
