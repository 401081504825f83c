// A service's side in Go, with golang-jwt v5. Prints the claims of the `Authorization` on stdin.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// verify returns the claims of a token of the filter. Any other is an error: answer 401.
func verify(authorization string) (jwt.MapClaims, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return nil, errors.New("found no bearer token")
	}
	secret := func(*jwt.Token) (any, error) { return []byte(os.Getenv("AUTH_O_TRON_SECRET")), nil }
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, secret,
		// Never the algorithm that the token itself names.
		jwt.WithValidMethods([]string{"HS256"}),
		jwt.WithIssuer("auth-o-tron.example.com"),
		// With `claims.aud`, also: jwt.WithAudience("my-application")
		jwt.WithExpirationRequired())
	return claims, err
}

func main() {
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
