/**
 * Completion as scripts of the shells themselves: a word is completed without starting anything. Each finds the command as the
 * command line does: the first word that is no switch of every command names it, options alone mean the first command of the table.
 */
import type { CompletionTable, Offer, OptionOffer, Shell } from './completion-table.js';

/** The script for a shell, which begins with how to install it. */
export function completionScript(shell: Shell, table: CompletionTable): string {
  return { bash, zsh, fish }[shell](table);
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const namesOf = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name);

/** Places of a command line: behind an option that takes a value, or where the argument of a command stands. */
function places({ commands }: CompletionTable): { readonly place: string; readonly offer: Offer }[] {
  const nothing: Offer = { words: [], paths: null };
  return commands.flatMap(({ name, options, argument }) => [
    ...options.flatMap((option) =>
      option.value === null ? [] : [{ place: `${name} ${option.name}`, offer: option.value }],
    ),
    { place: `${name} `, offer: argument ?? nothing },
  ]);
}

/** Lines `place) statements;;` of a case statement; places with the same statements share one. */
function cases(table: CompletionTable, statements: (offer: Offer) => string, indent: string): string {
  const byStatements = new Map<string, string[]>();
  for (const { place, offer } of places(table)) {
    const text = statements(offer);
    byStatements.set(text, [...(byStatements.get(text) ?? []), quoted(place)]);
  }
  return [...byStatements].map(([text, of]) => `${indent}${of.join(' | ')}) ${text} ;;`).join('\n');
}

/** Lines `command) its options;;` of a case statement; no command yet: those of the first and all commands. */
function optionCases({ commands }: CompletionTable, list: (names: readonly OptionOffer[]) => string): string {
  return commands.map(({ name, options }) => `        ${name}) ${list(options)} ;;`).join('\n');
}

function bash(table: CompletionTable): string {
  const { commands, switches } = table;
  const statements = ({ words, paths }: Offer) =>
    [
      `words=${quoted(words.join(' '))}`,
      paths === null ? 'compopt +o default 2> /dev/null' : '',
      paths === 'folders' ? 'compopt +o default -o dirnames 2> /dev/null' : '',
    ]
      .filter((one) => one !== '')
      .join('; ');
  return `# Completion of embed-model for bash, 3.2 and later.
#     source <(embed-model completion bash)          in ~/.bashrc, or
#     embed-model completion bash > ~/.local/share/bash-completion/completions/embed-model

_embed_model() {
    local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' word i
    # --option=value is three words here.
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $previous == '=' ]]; then
        previous=\${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=\${COMP_WORDS[i]}
        case $word in
        ${['-h', ...namesOf(switches)].join(' | ')}) continue ;;
        -*) command=${commands[0]!.name} ;;
        *) command=$word ;;
        esac
        break
    done
    if [[ $current == -* && $previous != '=' ]] || [[ -z $command ]]; then
        words=${quoted(namesOf(switches).join(' '))}
        case $command in
        '') words="$words "${quoted(namesOf([...commands, ...commands[0]!.options]).join(' '))} ;;
${optionCases(table, (options) => `words="$words "${quoted(namesOf(options).join(' '))}`)}
        esac
        compopt +o default 2> /dev/null
    else
        [[ $previous == -* ]] || previous=''
        case "$command $previous" in
${cases(table, statements, '        ')}
        *) # behind a switch
            case "$command " in
${cases({ ...table, commands: commands.map((one) => ({ ...one, options: [] })) }, statements, '            ')}
            esac
            ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _embed_model embed-model
`;
}

/** Elements 'name:description' of a zsh array. */
function described(all: readonly { readonly name: string; readonly text: string }[]): string {
  const element = ({ name, text }: (typeof all)[number]) => quoted(`${name}:${text.replaceAll(':', '\\:')}`);
  return all.map(element).join(' ');
}

const withHelp = (options: readonly OptionOffer[]) => options.map(({ name, help }) => ({ name, text: help }));

function zsh(table: CompletionTable): string {
  const { commands, switches } = table;
  const statements = ({ words, paths }: Offer) =>
    [
      words.length === 0 ? '' : `compadd -- ${words.join(' ')}`,
      paths === 'files' ? '_files' : paths === 'folders' ? '_files -/' : '',
    ]
      .filter((one) => one !== '')
      .join(' || ') || ':';
  const summaries = commands.map(({ name, summary }) => ({ name, text: summary }));
  return `#compdef embed-model
# Completion of embed-model for zsh.
#     source <(embed-model completion zsh)           in ~/.zshrc, behind compinit, or
#     embed-model completion zsh > DIR/_embed-model  with DIR a folder of $fpath

_embed_model() {
    local command='' word previous=\${words[CURRENT-1]}
    local -a offered
    for word in "\${(@)words[2,CURRENT-1]}"; do
        case $word in
        ${['-h', ...namesOf(switches)].join(' | ')}) continue ;;
        -*) command=${commands[0]!.name} ;;
        *) command=$word ;;
        esac
        break
    done
    if [[ $PREFIX == --*=* ]]; then
        previous=\${PREFIX%%=*}
        [[ -n $command ]] || command=${commands[0]!.name}
        compset -P '*='
    elif [[ $PREFIX == -* || -z $command ]]; then
        case $command in
        '') offered=(${described(withHelp(commands[0]!.options))}) ;;
${optionCases(table, (options) => `offered=(${described(withHelp(options))})`)}
        esac
        offered+=(${described(withHelp(switches))})
        _describe -o option offered
        offered=(${described(summaries)})
        [[ -n $command ]] || _describe command offered
        return
    fi
    [[ $previous == -* ]] || previous=''
    case "$command $previous" in
${cases(table, statements, '    ')}
    *) # behind a switch
        case "$command " in
${cases({ ...table, commands: commands.map((one) => ({ ...one, options: [] })) }, statements, '        ')}
        esac
        ;;
    esac
}
if [[ $funcstack[1] == _embed_model ]]; then
    _embed_model "$@"
else
    compdef _embed_model embed-model
fi
`;
}

function fish(table: CompletionTable): string {
  const { commands, switches } = table;
  // fish knows one escape more within single quotes.
  const text = (words: string) => `'${words.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const line = (...words: string[]) => `complete -c embed-model ${words.filter(Boolean).join(' ')}`;
  const wordsOf = ({ words, paths }: Offer) => {
    const all = paths === 'folders' ? [...words, '(__fish_complete_directories)'] : words;
    return all.length === 0 ? '' : `-a ${text(all.join(' '))}`;
  };
  const filesOf = ({ paths }: Offer) => (paths === 'files' ? '-F' : '');
  const optionLine = (condition: string, { name, help, value }: OptionOffer) => {
    const offer =
      value === null ? [] : [value.paths === 'files' ? '-r' : '-x', filesOf(value), wordsOf(value)];
    return line(condition, `-l ${name.slice(2)}`, ...offer, `-d ${text(help)}`);
  };
  const of = (name: string) => `-n '__embed_model_is ${name}'`;
  const [first] = commands;
  return `# Completion of embed-model for fish.
#     embed-model completion fish > ~/.config/fish/completions/embed-model.fish

# Whether the command line up to here is of a command; none: only switches of every command so far.
function __embed_model_is
    set -l command none
    for word in (commandline -opc)[2..]
        switch $word
            case -h ${namesOf(switches).join(' ')}
                continue
            case '-*'
                set command ${first!.name}
            case '*'
                set command $word
        end
        break
    end
    contains -- $command $argv
end

complete -c embed-model -f
${switches.map((option) => optionLine('', option)).join('\n')}
${commands.map(({ name, summary }) => line(of('none'), `-a ${name}`, `-d ${text(summary)}`)).join('\n')}
${commands
  .flatMap(({ name, options, argument }) => [
    ...options.map((option) => optionLine(name === first!.name ? of(`none ${name}`) : of(name), option)),
    ...(argument === null ? [] : [line(of(name), filesOf(argument), wordsOf(argument))]),
  ])
  .join('\n')}
`;
}
