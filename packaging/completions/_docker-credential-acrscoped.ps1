
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'docker-credential-acrscoped' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'docker-credential-acrscoped'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'docker-credential-acrscoped' {
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print the version')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Sign in with a browser, for machines without the Azure CLI')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'Delete a sign-in of `login` and its cached tokens')
            [CompletionResult]::new('configure', 'configure', [CompletionResultType]::ParameterValue, 'Set up docker, podman and other clients to use this helper, or undo it')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the cached tokens of registries, and the sign-ins of `login`')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Check why pulls from and pushes to a registry fail')
            [CompletionResult]::new('token', 'token', [CompletionResultType]::ParameterValue, 'Print the credential of a registry for scripts')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'Print the credential of the registry named on stdin, as JSON')
            [CompletionResult]::new('store', 'store', [CompletionResultType]::ParameterValue, 'Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for')
            [CompletionResult]::new('erase', 'erase', [CompletionResultType]::ParameterValue, 'Forget what is cached for the registry named on stdin')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Print the registries with a valid cached token, as JSON')
            [CompletionResult]::new('kubelet', 'kubelet', [CompletionResultType]::ParameterValue, 'Answer kubelet, as its credential provider for the registries, with JSON on stdin and stdout')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Print the version')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'docker-credential-acrscoped;login' {
            [CompletionResult]::new('--tenant', '--tenant', [CompletionResultType]::ParameterName, 'The tenant to sign in to: id or domain name')
            [CompletionResult]::new('--claims-challenge', '--claims-challenge', [CompletionResultType]::ParameterName, 'Satisfy a policy, with the value from a hint')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Wait this long for the browser. Default: 300, or until the code expires')
            [CompletionResult]::new('--device-code', '--device-code', [CompletionResultType]::ParameterName, 'Show a code to enter in a browser elsewhere')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;logout' {
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Delete all sign-ins, and all cached tokens of all registries')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;configure' {
            [CompletionResult]::new('--registry-mirror', '--registry-mirror', [CompletionResultType]::ParameterName, 'With --kubelet: pull the images of a host through a registry')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Handle all hosts in docker''s file (`credsStore`). The former helper there becomes the delegate for other registries')
            [CompletionResult]::new('--remove', '--remove', [CompletionResultType]::ParameterName, 'Undo the changes, for these registries or for all')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'Only the file of docker, oras, Helm and their like')
            [CompletionResult]::new('--containers', '--containers', [CompletionResultType]::ParameterName, 'Only the file of podman, buildah and skopeo')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Show what would change, and change nothing')
            [CompletionResult]::new('--kubelet', '--kubelet', [CompletionResultType]::ParameterName, 'Print the configuration with which kubelet calls this helper, for these registries or for all. Writes no file')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, for scripts')
            [CompletionResult]::new('--plain', '--plain', [CompletionResultType]::ParameterName, 'Print plain text without colour, marks or tables, for screen readers and logs')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;status' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, for scripts')
            [CompletionResult]::new('--plain', '--plain', [CompletionResultType]::ParameterName, 'Print plain text without colour, marks or tables, for screen readers and logs')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;doctor' {
            [CompletionResult]::new('--repository', '--repository', [CompletionResultType]::ParameterName, 'Check what is granted in this repository, such as team/app')
            [CompletionResult]::new('--report', '--report', [CompletionResultType]::ParameterName, 'Write a report without names, ids and addresses to a new file')
            [CompletionResult]::new('--probe-arm', '--probe-arm', [CompletionResultType]::ParameterName, 'If the registry accepts an ACR-scoped token, offer it an ARM-scoped one too, to see whether it accepts such tokens')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print JSON, for scripts')
            [CompletionResult]::new('--plain', '--plain', [CompletionResultType]::ParameterName, 'Print plain text without colour, marks or tables, for screen readers and logs')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;token' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'The output format')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-credential-acrscoped;get' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;store' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;erase' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;list' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;kubelet' {
            [CompletionResult]::new('--registry-mirror', '--registry-mirror', [CompletionResultType]::ParameterName, 'Pull the images of a host through a registry, whose credential is given for them')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;version' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'docker-credential-acrscoped;help' {
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Sign in with a browser, for machines without the Azure CLI')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'Delete a sign-in of `login` and its cached tokens')
            [CompletionResult]::new('configure', 'configure', [CompletionResultType]::ParameterValue, 'Set up docker, podman and other clients to use this helper, or undo it')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the cached tokens of registries, and the sign-ins of `login`')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Check why pulls from and pushes to a registry fail')
            [CompletionResult]::new('token', 'token', [CompletionResultType]::ParameterValue, 'Print the credential of a registry for scripts')
            [CompletionResult]::new('get', 'get', [CompletionResultType]::ParameterValue, 'Print the credential of the registry named on stdin, as JSON')
            [CompletionResult]::new('store', 'store', [CompletionResultType]::ParameterValue, 'Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for')
            [CompletionResult]::new('erase', 'erase', [CompletionResultType]::ParameterValue, 'Forget what is cached for the registry named on stdin')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Print the registries with a valid cached token, as JSON')
            [CompletionResult]::new('kubelet', 'kubelet', [CompletionResultType]::ParameterValue, 'Answer kubelet, as its credential provider for the registries, with JSON on stdin and stdout')
            [CompletionResult]::new('version', 'version', [CompletionResultType]::ParameterValue, 'Print the version')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'docker-credential-acrscoped;help;login' {
            break
        }
        'docker-credential-acrscoped;help;logout' {
            break
        }
        'docker-credential-acrscoped;help;configure' {
            break
        }
        'docker-credential-acrscoped;help;status' {
            break
        }
        'docker-credential-acrscoped;help;doctor' {
            break
        }
        'docker-credential-acrscoped;help;token' {
            break
        }
        'docker-credential-acrscoped;help;get' {
            break
        }
        'docker-credential-acrscoped;help;store' {
            break
        }
        'docker-credential-acrscoped;help;erase' {
            break
        }
        'docker-credential-acrscoped;help;list' {
            break
        }
        'docker-credential-acrscoped;help;kubelet' {
            break
        }
        'docker-credential-acrscoped;help;version' {
            break
        }
        'docker-credential-acrscoped;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
