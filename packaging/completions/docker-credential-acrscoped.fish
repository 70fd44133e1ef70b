# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_docker_credential_acrscoped_global_optspecs
    string join \n V/version h/help
end

function __fish_docker_credential_acrscoped_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_docker_credential_acrscoped_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_docker_credential_acrscoped_using_subcommand
    set -l cmd (__fish_docker_credential_acrscoped_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -s V -l version -d 'Print the version'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "status" -d 'Show which registries have a cached token, until when, and whose it is'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "token" -d 'Print the credential of a registry for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "get" -d 'Print the credential of the registry named on stdin, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "store" -d 'Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "erase" -d 'Forget what is cached for the registry named on stdin'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "list" -d 'Print the registries with a valid cached token, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "version" -d 'Print the version'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand status" -l json -d 'Print JSON, for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand status" -l plain -d 'Print plain words without colour, marks or tables, for screen readers and logs'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand status" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand token" -l format -d 'What is printed' -r -f -a "json\t'An object with `loginServer`, `username`, `accessToken` and `expiresOn`, as `az acr login --expose-token` prints'
docker-login\t'A line for a shell that signs docker in: `eval "$(… --format docker-login)"`'
env\t'Lines for a file of variables: `ACR_LOGIN_SERVER`, `ACR_USERNAME`, `ACR_PASSWORD`'
raw\t'The token and nothing else'"
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand get" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand store" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand erase" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand list" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand version" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "status" -d 'Show which registries have a cached token, until when, and whose it is'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "token" -d 'Print the credential of a registry for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "get" -d 'Print the credential of the registry named on stdin, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "store" -d 'Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "erase" -d 'Forget what is cached for the registry named on stdin'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "list" -d 'Print the registries with a valid cached token, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "version" -d 'Print the version'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from status token get store erase list version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
