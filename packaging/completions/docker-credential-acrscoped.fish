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
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "login" -d 'Sign in with a browser, for machines without the Azure CLI'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "logout" -d 'Delete a sign-in of `login` and its cached tokens'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "configure" -d 'Set up docker, podman and other clients to use this helper, or undo it'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "status" -d 'Show the cached tokens of registries, and the sign-ins of `login`'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "doctor" -d 'Check why pulls from and pushes to a registry fail'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "token" -d 'Print the credential of a registry for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "get" -d 'Print the credential of the registry named on stdin, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "store" -d 'Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "erase" -d 'Forget what is cached for the registry named on stdin'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "list" -d 'Print the registries with a valid cached token, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "kubelet" -d 'Answer kubelet, as its credential provider for the registries, with JSON on stdin and stdout'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "version" -d 'Print the version'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand login" -l tenant -d 'The tenant to sign in to: id or domain name' -r
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand login" -l claims-challenge -d 'Satisfy a policy, with the value from a hint' -r
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand login" -l timeout -d 'Wait this long for the browser. Default: 300, or until the code expires' -r
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand login" -l device-code -d 'Show a code to enter in a browser elsewhere'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand login" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand logout" -l all -d 'Delete all sign-ins, and all cached tokens of all registries'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand logout" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l registry-mirror -d 'With --kubelet: pull the images of a host through a registry' -r
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l all -d 'Handle all hosts in docker\'s file (`credsStore`). The former helper there becomes the delegate for other registries'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l remove -d 'Undo the changes, for these registries or for all'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l docker -d 'Only the file of docker, oras, Helm and their like'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l containers -d 'Only the file of podman, buildah and skopeo'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l dry-run -d 'Show what would change, and change nothing'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l kubelet -d 'Print the configuration with which kubelet calls this helper, for these registries or for all. Writes no file'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l json -d 'Print JSON, for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -l plain -d 'Print plain text without colour, marks or tables, for screen readers and logs'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand configure" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand status" -l json -d 'Print JSON, for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand status" -l plain -d 'Print plain text without colour, marks or tables, for screen readers and logs'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand status" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand doctor" -l repository -d 'Check what is granted in this repository, such as team/app' -r
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand doctor" -l report -d 'Write a report without names, ids and addresses to a new file' -r -F
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand doctor" -l probe-arm -d 'If the registry accepts an ACR-scoped token, offer it an ARM-scoped one too, to see whether it accepts such tokens'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand doctor" -l json -d 'Print JSON, for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand doctor" -l plain -d 'Print plain text without colour, marks or tables, for screen readers and logs'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand token" -l format -d 'The output format' -r -f -a "json\t'An object, as `az acr login --expose-token` prints'
docker-login\t'A shell command that signs Docker in'
env\t'`ACR_LOGIN_SERVER`, `ACR_USERNAME`, `ACR_PASSWORD` for a shell'
github-actions\t'Set the same variables for later steps of a GitHub Actions job, and mask the token in its log'
raw\t'The token and nothing else'"
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand get" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand store" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand erase" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand list" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand kubelet" -l registry-mirror -d 'Pull the images of a host through a registry, whose credential is given for them' -r
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand kubelet" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand version" -s h -l help -d 'Print help'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "login" -d 'Sign in with a browser, for machines without the Azure CLI'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "logout" -d 'Delete a sign-in of `login` and its cached tokens'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "configure" -d 'Set up docker, podman and other clients to use this helper, or undo it'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "status" -d 'Show the cached tokens of registries, and the sign-ins of `login`'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "doctor" -d 'Check why pulls from and pushes to a registry fail'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "token" -d 'Print the credential of a registry for scripts'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "get" -d 'Print the credential of the registry named on stdin, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "store" -d 'Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "erase" -d 'Forget what is cached for the registry named on stdin'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "list" -d 'Print the registries with a valid cached token, as JSON'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "kubelet" -d 'Answer kubelet, as its credential provider for the registries, with JSON on stdin and stdout'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "version" -d 'Print the version'
complete -c docker-credential-acrscoped -n "__fish_docker_credential_acrscoped_using_subcommand help; and not __fish_seen_subcommand_from login logout configure status doctor token get store erase list kubelet version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
