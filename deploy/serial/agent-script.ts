/**
 * The script that answers on the board's side of a serial line. A request is a line `SEQUENCE HASH WORDS`, the answer a line
 * `@SEQUENCE TEXT *HASH`; the hashes (shortHash) are over "SEQUENCE WORDS" and "SEQUENCE TEXT". A request that is
 * asked again is not done again but answered again, so that a lost answer does no harm.
 *
 *     C              forget the script                     ok
 *     L BASE64       add to the script                     ok
 *     R t|f          run it; t: show its output            EXIT, HASH and BYTES of stdout, BYTES of stderr
 *     G FILE N M     M bytes of FILE from the N-th on      BASE64
 *     W BYTES        take raw bytes into the chunk         HASH of the chunk
 *     B BASE64       take the chunk as text                HASH of the chunk
 *     Y BYTES WORDS  take the chunk by the receiver WORDS  HASH of its first BYTES
 *     A BASE64       append the chunk to the file named    ok, or fail
 *     X              end
 *
 * R, W and Y say `@+SEQUENCE` when they begin, twice in a line: one may be damaged. The terminal is set so that no byte of a damaged
 * line has a meaning but line end, erase and interrupt; an interrupt ends what runs, never the script.
 */
export const agentScript = `d=\${TMPDIR:-/tmp}/em-agent-$$
mkdir -p $d && cd $d || exit 1
t=$(stty -g 2>/dev/null)
stty -echo -opost -ixon -iexten eof undef susp undef quit undef 2>/dev/null
u=$(stty -g 2>/dev/null)
trap : INT
n= l=
short() { k=\${k%"\${k#????????????????}"}; }
say() { k=$(printf %s "$1" | sha256sum); short; l="@$1 *$k"; echo "$l"; }
while :; do
IFS=' ' read -r s c p || { sleep 1; continue; }
[ -n "$s" ] || continue
k=$(printf %s "$s $p" | sha256sum); short
[ "$c" = "$k" ] || { echo '@?'; continue; }
[ "$s" = "$n" ] && { echo "$l"; continue; }
n=$s
set -- $p
case $1 in
C) : > s; say "$s ok" ;;
L) printf %s "$2" | base64 -d >> s; say "$s ok" ;;
R) echo "@+$s@+$s"; rm -f r; if [ "$2" = t ]
then { sh ./s 2> e < /dev/null; echo $? > r; } | tee o
else sh ./s > o 2> e < /dev/null; echo $? > r; fi
x=$(cat r 2>/dev/null); k=$(sha256sum < o); short
say "$s \${x:-130} $k $(($(wc -c < o))) $(($(wc -c < e)))" ;;
G) say "$s $(tail -c +$3 $2 | head -c $4 | base64 | tr -d '\\n')" ;;
W) stty raw -echo; echo "@+$s@+$s"; head -c $2 > c; stty "$u"; k=$(sha256sum < c); short; say "$s $k" ;;
B) printf %s "$2" | base64 -d > c; k=$(sha256sum < c); short; say "$s $k" ;;
Y) z=$2; shift 2; rm -f c; stty raw -echo; echo "@+$s@+$s"; "$@" 2> /dev/null; stty "$u"
head -c $z c > y; mv y c; k=$(sha256sum < c); short; say "$s $k" ;;
A) if cat c >> "$(printf %s "$2" | base64 -d)" 2> e; then say "$s ok"; else say "$s fail"; fi ;;
X) stty "$t"; cd /; rm -rf $d; exit ;;
*) say "$s what" ;;
esac
done
`;
