# nix profile install "github:OWNER/NAME?dir=packaging/nix": builds the checkout.
{
  description = "Docker credential helper for Azure Container Registry";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      manifest = (builtins.fromTOML (builtins.readFile ../../Cargo.toml));
      program = manifest.package.name;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      build =
        pkgs:
        pkgs.rustPlatform.buildRustPackage {
          pname = program;
          version = manifest.package.version;
          src = ../..;
          cargoLock.lockFile = ../../Cargo.lock;
          cargoBuildFlags = [
            "--bin"
            program
          ];
          # They start servers and need clients and keyrings: CI runs them.
          doCheck = false;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            $out/bin/${program} generate generated
            installManPage generated/man/*.1
            installShellCompletion --bash generated/completions/${program}
            installShellCompletion --zsh generated/completions/_${program}
            installShellCompletion --fish generated/completions/${program}.fish
            install -D -m 644 -t $out/share/${program} packaging/config.schema.json
          '';
          meta = {
            description = manifest.package.description;
            license = with pkgs.lib.licenses; [
              mit
              asl20
            ];
            mainProgram = program;
            platforms = systems;
          };
        };
    in
    {
      packages = nixpkgs.lib.genAttrs systems (system: {
        default = build nixpkgs.legacyPackages.${system};
      });
    };
}
