// The service's side in Go, with golang-jwt v5. Reads the value of `Authorization` on stdin and prints the claims.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

var secret = []byte(os.Getenv("AUTH_O_TRON_SECRET"))

// verify returns the claims of a token of the filter. Any other is an error: answer 401.
func verify(authorization string) (jwt.MapClaims, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return nil, errors.New("found no bearer token")
	}
	key := func(*jwt.Token) (any, error) { return secret, nil }
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, key,
		// Never the algorithm that the token names.
		jwt.WithValidMethods([]string{"HS256"}),
		jwt.WithIssuer("auth-o-tron.example.com"),
		// With `claims.aud`, also: jwt.WithAudience("my-application")
		jwt.WithExpirationRequired())
	return claims, err
}

func main() {
	if len(secret) < 32 {
		fmt.Fprintln(os.Stderr, "AUTH_O_TRON_SECRET: missing, or shorter than 32 bytes")
		os.Exit(1)
	}
	authorization, err := io.ReadAll(os.Stdin)
	if err == nil {
		var claims jwt.MapClaims
		if claims, err = verify(strings.TrimSpace(string(authorization))); err == nil {
			fmt.Println(claims)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "401:", err)
	os.Exit(1)
}
